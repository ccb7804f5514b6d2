#!/usr/bin/env bash
# `oxkeeper cli` against the transcripts of ../zkcli, which Java's ZooKeeperMain has answered: the same scripts, the same
# normalization, not a word of its own. The server is the one under test; OXKEEPER is the shell (default: the program of
# SERVER_CMD), so that the shell can also be tried on Java's server.
. "$(dirname "$0")/../lib/common.sh"
. "$LIB/server.sh"
HERE="$COMPAT/oxcli" ZKCLI="$COMPAT/zkcli"
begin oxcli 120
OXKEEPER="${OXKEEPER:-${SERVER_CMD%% *}}"
[ -x "$OXKEEPER" ] || give_up "OXKEEPER must be the program whose shell is tested"
start_server
SERVER="${ZK_CONNECT%%,*}"
BASE="/oxcli-$$-$(date +%s)"

check() { # NAME: $WORK/NAME.raw against ../zkcli/expected/NAME.txt
    python3 "$ZKCLI/normalize.py" "$BASE" "$SERVER" <"$WORK/$1.raw" >"$WORK/$1.txt"
    if diff -u "$ZKCLI/expected/$1.txt" "$WORK/$1.txt" >"$WORK/$1.diff"; then
        pass "oxcli/$1" "$(grep -c '^zk> ' "$WORK/$1.txt") commands"
    else
        head -60 "$WORK/$1.diff" >&2
        fail "oxcli/$1" "$(grep -c '^[-+][^-+]' "$WORK/$1.diff") lines differ"
    fi
}
converse() { # SCRIPT SERVER [SUFFIX OF BASE]
    sed -e "s#BASE#$BASE${3:-}#g" -e "s#HOSTPORT#$SERVER#g" "$ZKCLI/$1.script" >"$WORK/$1.script"
    limited 90 python3 "$HERE/converse.py" "$WORK/$1.script" "$OXKEEPER" cli -server "$2" >"$WORK/$1.raw" 2>&1
    check "$1"
}
one() {
    echo "zk> $*"
    timeout -k 5 40 "$OXKEEPER" cli -server "$SERVER" "$@" 2>&1 </dev/null
    echo "exit code $?"
}

# 1. A long session, one command after the other.
converse main "$SERVER"

# 2. One command for each process, with exit codes, as scripts use zkCli.sh.
{
    one create "$BASE" one
    one get "$BASE"
    one get "$BASE/missing"
    one ls -R "$BASE"
    one -waitforconnection create -e "$BASE/eph" x
    one -client-configuration "$ZKCLI/client.properties" ls "$BASE"
    one nosuch
    one -timeout 4000 delete "$BASE"
} >"$WORK/oneshot.raw"
sed -i "s#$ZKCLI#HERE#" "$WORK/oneshot.raw"
check oneshot

# 3. A chroot in the connect string.
one create "$BASE-c" "" >/dev/null
converse chroot "$SERVER$BASE-c"

# 4. Odd lines.
converse odd "$SERVER" -o

# 5. The read-only flag, and a server list whose first member is not there.
{
    echo "zk> two servers, the first is not there"
    timeout -k 5 40 "$OXKEEPER" cli -server "127.0.0.1:$(free_ports 1),$SERVER" -r -waitforconnection stat "$BASE-c" 2>&1 </dev/null |
        grep -v '^Connecting'
} >"$WORK/list.raw"
check list

# 6. What zkCli.sh lacks.
limited 60 python3 "$HERE/beyond.py" "$OXKEEPER" "$SERVER" "$WORK" >"$WORK/beyond.txt" 2>"$WORK/beyond.err" || [ -s "$WORK/beyond.txt" ] ||
    fail oxcli/beyond "$(tail -1 "$WORK/beyond.err")"
while read -r verdict name why; do
    case "$verdict" in
        ok) pass "oxcli/$name" ;;
        bad) fail "oxcli/${name%:}" "$why" ;;
        *) note "$name $why" ;;
    esac
done <"$WORK/beyond.txt"

# 7. A server that goes away and comes back.
if [ -n "${SERVER_DIR:-}" ]; then
    if limited 90 python3 "$HERE/reconnect.py" "$OXKEEPER" "$SERVER" "'$LIB/server' '$SERVER_DIR' stop" "'$LIB/server' '$SERVER_DIR' start" \
        >"$WORK/reconnect.log" 2>&1; then pass oxcli/reconnect; else fail oxcli/reconnect "$(tail -n 1 "$WORK/reconnect.log")"; fi
fi

# 8. Prompts, and which stream says what: a session of zkCli.sh and single commands, on a server of its own, since the
# transcripts of 1 need extended types and these were captured without.
cleanup() { "$LIB/server" "$WORK/plain" stop; }
SERVER_LINES=extendedTypesEnabled=false "$LIB/server" "$WORK/plain" start 2>"$WORK/plain.log" 8>&- || give_up "no second server"
if limited 60 python3 "$HERE/streams.py" "$OXKEEPER" "127.0.0.1:$(cat "$WORK/plain/port")" >"$WORK/streams.diff" 2>&1; then
    pass "oxcli/streams" "$(wc -l <"$HERE/testdata/session.input.txt") commands"
else
    head -60 "$WORK/streams.diff" >&2
    fail "oxcli/streams" "see above"
fi
