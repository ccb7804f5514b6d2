#!/usr/bin/env bash
# The shell of Apache ZooKeeper 3.9.5 (ZooKeeperMain, what zkCli.sh runs) against the server under test: transcripts,
# normalized, compared with expected/*.txt, which the Java server answered. `run.sh --record` writes those anew.
. "$(dirname "$0")/../lib/common.sh"
. "$LIB/server.sh"
HERE="$COMPAT/zkcli"
begin zkcli 180
resolve zookeeper || give_up "the jars could not be resolved"
compile zookeeper "$HERE" || give_up "CliDriver does not compile"
start_server
SERVER="${ZK_CONNECT%%,*}"
BASE="/zkcli-$$-$(date +%s)"
CLI=(java "${JVM[@]}" -Xmx96m -Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8 -Dsun.jnu.encoding=UTF-8
    "-Dlogback.configurationFile=$LIB/conf/logback-off.xml" -cp "$CACHE/classes-zkcli:$(classpath zookeeper)")
SHELL_MAIN=org.apache.zookeeper.ZooKeeperMain

check() { # NAME: $WORK/NAME.raw against expected/NAME.txt
    python3 "$HERE/normalize.py" "$BASE" "$SERVER" <"$WORK/$1.raw" >"$WORK/$1.txt"
    [ "$RECORD" = 1 ] && cp "$WORK/$1.txt" "$HERE/expected/$1.txt"
    if diff -u "$HERE/expected/$1.txt" "$WORK/$1.txt" >"$WORK/$1.diff"; then
        pass "zkcli/$1" "$(grep -c '^zk> ' "$WORK/$1.txt") commands"
    else
        head -60 "$WORK/$1.diff" >&2
        fail "zkcli/$1" "$(grep -c '^[-+][^-+]' "$WORK/$1.diff") lines differ"
    fi
}
RECORD=0; [ "${1:-}" = --record ] && RECORD=1

# 1. A long session, one command after the other.
sed -e "s#BASE#$BASE#g" -e "s#HOSTPORT#$SERVER#g" "$HERE/main.script" >"$WORK/main.script"
limited 120 "${CLI[@]}" CliDriver "$WORK/main.script" -server "$SERVER" >"$WORK/main.raw" 2>&1
echo "exit code $?" >>"$WORK/main.raw"
check main

# 2. One command for each process, with exit codes, as scripts use zkCli.sh.
one() {
    echo "zk> $*"
    timeout -k 5 40 "${CLI[@]}" $SHELL_MAIN -server "$SERVER" "$@" 2>&1 </dev/null
    echo "exit code $?"
}
{
    one create "$BASE" one
    one get "$BASE"
    one get "$BASE/missing"
    one ls -R "$BASE"
    one -waitforconnection create -e "$BASE/eph" x
    one -client-configuration "$HERE/client.properties" ls "$BASE"
    one nosuch
    one -timeout 4000 delete "$BASE"
} >"$WORK/oneshot.raw"
check oneshot

# 3. A chroot in the connect string.
sed -e "s#BASE#$BASE#g" "$HERE/chroot.script" >"$WORK/chroot.script"
zk create "$BASE-c" "" >/dev/null
limited 60 "${CLI[@]}" CliDriver "$WORK/chroot.script" -server "$SERVER$BASE-c" >"$WORK/chroot.raw" 2>&1
echo "exit code $?" >>"$WORK/chroot.raw"
check chroot

# 4. Odd lines.
sed -e "s#BASE#$BASE-o#g" "$HERE/odd.script" >"$WORK/odd.script"
limited 60 "${CLI[@]}" CliDriver "$WORK/odd.script" -server "$SERVER" >"$WORK/odd.raw" 2>&1
echo "exit code $?" >>"$WORK/odd.raw"
check odd

# 5. The read-only flag, and a server list whose first member is not there.
{
    echo "zk> two servers, the first is not there"
    timeout -k 5 40 "${CLI[@]}" $SHELL_MAIN -server "127.0.0.1:$(free_ports 1),$SERVER" -r -waitforconnection stat "$BASE-c" 2>&1 </dev/null |
        grep -v '^Connecting'
} >"$WORK/list.raw"
check list
