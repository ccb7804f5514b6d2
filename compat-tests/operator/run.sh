#!/usr/bin/env bash
# The scripts that operators know (scripts/zk*.sh) as they are used, by their outputs on both streams and their exit codes,
# compared with expected/*.txt, which the scripts of Apache ZooKeeper 3.9.5 have answered:
#   ZK_BIN=DIR run.sh            tries the scripts of DIR instead
#   ZK_BIN=DIR run.sh --record   writes the expectations anew; DIR is bin of a release of Apache's
# What differs on purpose is left out on both sides: see `normal`.
. "$(dirname "$0")/../lib/common.sh"
HERE="$COMPAT/operator"
begin operator 150
ZK_BIN="${ZK_BIN:-$ROOT/scripts}"
export OXKEEPER="${OXKEEPER:-${SERVER_CMD%% *}}"
RECORD=0; [ "${1:-}" = --record ] && RECORD=1
PORT="$(free_ports 3)"
unset ZOOCFG ZOOCFGDIR ZOOPIDFILE SERVER_JVMFLAGS JVMFLAGS CLIENT_JVMFLAGS ZOO_DATADIR_AUTOCREATE_DISABLE
export ZOO_LOG_DIR="$WORK/logs" JMXDISABLE=true
cleanup() {
    local file
    for file in "$WORK"/*/zookeeper_server.pid "$WORK"/other.pid; do
        [ -f "$file" ] && kill "$(cat "$file")"
    done
}

# config DIR LINE...: a folder with a zoo.cfg whose data is beside it.
config() {
    local dir="$WORK/$1"; shift
    mkdir -p "$dir"
    { printf 'tickTime=1000\ndataDir=%s/data\nadmin.enableServer=false\n' "$dir"; printf '%s\n' "$@"; } >"$dir/zoo.cfg"
}
# What cannot be the same: paths, ports, process ids, and the lines about a JVM.
normal() {
    sed -e "s#$ZK_BIN#BIN#g" -e "s#$WORK#DIR#g" -e "s/\b$PORT\b/PORT/g" -e "s/process [0-9]*/process PID/" \
        -e '/JMX disabled by user request/d' -e '/^grep: /d' -e '/bin\/java$/d' -e '/^mkdir: /d' -e '/^[0-9:.]* \[main\] /d' -e "s#usage: BIN/zkServer-initialize.sh#usage: zkServer-initialize.sh#" \
        -e 's/  *ZooKeeper config file$/ ZooKeeper config file/' \
        -e 's/^Connecting to .*//' -e '/^WATCHER::$/d' -e '/^WatchedEvent/d' -e '/^$/d'
}
# run SCRIPT ARGUMENT...: one call as it looks to an operator.
run() {
    local script="$1"; shift
    echo "\$ ${NOTE:-}$script $*" | normal
    timeout -k 5 60 "$ZK_BIN/$script" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null 8>&-
    local code=$?
    normal <"$WORK/out"
    normal <"$WORK/err" | uniq | sed 's/^/err| /'
    echo "exit code $code"
}
# say WORDS: what a test looked at beside the outputs.
say() { echo "-- $*"; }
check() { # NAME, of $WORK/NAME.txt
    [ $RECORD = 1 ] && cp "$WORK/$1.txt" "$HERE/expected/$1.txt"
    if diff -u "$HERE/expected/$1.txt" "$WORK/$1.txt" >"$WORK/$1.diff"; then
        pass "operator/$1" "$(grep -c '^\$ ' "$WORK/$1.txt") calls"
    else
        head -60 "$WORK/$1.diff" >&2
        fail "operator/$1" "$(grep -c '^[-+][^-+]' "$WORK/$1.diff") lines differ"
    fi
}

# 1. A server's day.
config day "clientPort=$PORT"
day() {
    run zkServer.sh --config "$WORK/day" status
    run zkServer.sh --config "$WORK/day" stop
    run zkServer.sh --config "$WORK/day" start
    running "$(cat "$WORK/day/data/zookeeper_server.pid")" && say "the pid file names a process"
    [ -s "$WORK/day/data/zookeeper_server.pid" ] && [ "$(tail -c 1 "$WORK/day/data/zookeeper_server.pid" | tr -d '0-9')" = "" ] && say "without an end of line"
    python3 "$LIB/probe.py" "$PORT" 30 "$(cat "$WORK/day/data/zookeeper_server.pid")" >/dev/null
    run zkServer.sh --config "$WORK/day" start
    run zkServer.sh --config "$WORK/day" status
    run zkServer.sh status "$WORK/day/zoo.cfg"
    run zkCli.sh -server "127.0.0.1:$PORT" create /a data
    run zkCli.sh -server "127.0.0.1:$PORT" get /a
    run zkCli.sh -server "127.0.0.1:$PORT" get /missing
    # With --config, the restart of the original forgets the folder.
    run zkServer.sh restart "$WORK/day/zoo.cfg"
    python3 "$LIB/probe.py" "$PORT" 30 "$(cat "$WORK/day/data/zookeeper_server.pid")" >/dev/null
    run zkCli.sh -server "127.0.0.1:$PORT" get /a
    run zkServer.sh --config "$WORK/day" stop
    [ -e "$WORK/day/data/zookeeper_server.pid" ] || say "the pid file is gone"
    run zkServer.sh --config "$WORK/day" status
    run zkServer.sh --config "$WORK/day"
    run zkServer.sh --config "$WORK/day" nonsense
    # A pid file of a server that was killed.
    sh -c 'echo -n $$' >"$WORK/day/data/zookeeper_server.pid"
    run zkServer.sh --config "$WORK/day" start
    run zkServer.sh --config "$WORK/day" stop
    ls "$WORK"/logs/*.out >/dev/null && say "the output is in ZOO_LOG_DIR"
}
day >"$WORK/day.txt"
check day

# 2. What goes wrong at the start.
config wrong "clientPort=$PORT" "initLimit=nonsense"
config variables "clientPort=$PORT"
wrong() {
    run zkServer.sh --config "$WORK/wrong" start
    run zkServer.sh --config "$WORK/wrong" start-foreground | sed -n '1p;$p'
    export ZOO_DATADIR_AUTOCREATE_DISABLE=1
    NOTE="ZOO_DATADIR_AUTOCREATE_DISABLE=1 " run zkServer.sh --config "$WORK/variables" start
    unset ZOO_DATADIR_AUTOCREATE_DISABLE
    export ZOOPIDFILE="$WORK/other.pid"
    NOTE="ZOOPIDFILE=DIR/other.pid " run zkServer.sh --config "$WORK/variables" start
    [ -s "$WORK/other.pid" ] && say "the pid file is where it was wanted"
    NOTE="ZOOPIDFILE=DIR/other.pid " run zkServer.sh --config "$WORK/variables" stop
    unset ZOOPIDFILE
}
wrong >"$WORK/wrong.txt"
check wrong

# 3. Where status looks for the port.
ports() {
    config none
    run zkServer.sh --config "$WORK/none" status
    config line "server.1=127.0.0.1:2888:3888;127.0.0.1:$PORT"
    run zkServer.sh --config "$WORK/line" status
    mkdir -p "$WORK/line/data"; echo 1 >"$WORK/line/data/myid"
    run zkServer.sh --config "$WORK/line" status
    config six "server.1=[::1]:2888:3888;[::1]:$PORT"
    mkdir -p "$WORK/six/data"; echo 1 >"$WORK/six/data/myid"
    run zkServer.sh --config "$WORK/six" status
    config dynamic "dynamicConfigFile=$WORK/dynamic/members"
    mkdir -p "$WORK/dynamic/data"; echo 2 >"$WORK/dynamic/data/myid"
    printf 'server.1=h:1:2;3\nserver.2=127.0.0.1:2888:3888:participant;%s\n' "$PORT" >"$WORK/dynamic/members"
    run zkServer.sh --config "$WORK/dynamic" status
    config address "clientPort=$PORT" "clientPortAddress=127.0.0.1"
    run zkServer.sh --config "$WORK/address" status
}
ports >"$WORK/ports.txt"
check ports

# 4. In the foreground: the process is the server's own, and a signal is its end.
config front "clientPort=$PORT"
spawn "$WORK/front.log" "$ZK_BIN/zkServer.sh" --config "$WORK/front" start-foreground
if python3 "$LIB/probe.py" "$PORT" 30 "$SPAWNED" >/dev/null 2>&1; then
    kill "$SPAWNED"; wait "$SPAWNED"; code=$?
    [ $code = 143 ] && pass operator/start-foreground || fail operator/start-foreground "SIGTERM gives $code"
else
    fail operator/start-foreground "nobody serves"
fi

# 5. What is printed but not fixed.
version="$("$ZK_BIN/zkServer.sh" --config "$WORK/day" version 2>/dev/null)"
[[ $version =~ ^Apache\ ZooKeeper,\ version\ 3\.9\.5\ [0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9:]{5}\ UTC ]] &&
    pass operator/version "$version" || fail operator/version "$version"
command="$(SERVER_JVMFLAGS=-Da=b "$ZK_BIN/zkServer.sh" --config "$WORK/day" print-cmd 2>/dev/null)"
[[ $command == *"-Da=b"*"$WORK/day/zoo.cfg\""*">"*".out\" 2>&1 < /dev/null" ]] &&
    pass operator/print-cmd || fail operator/print-cmd "$command"

# 6. Where the original is not the measure: a restart keeps its --config, and symbolic links are followed.
if [ "$ZK_BIN" = "$ROOT/scripts" ]; then
    mkdir "$WORK/links"; ln -s "$ZK_BIN/zkServer.sh" "$WORK/links/zk"
    out="$("$WORK/links/zk" --config "$WORK/day" start; "$WORK/links/zk" --config "$WORK/day" restart
        "$WORK/links/zk" --config "$WORK/day" status; "$WORK/links/zk" --config "$WORK/day" stop)" 2>/dev/null
    [ "$(grep -c -e STARTED -e STOPPED -e standalone <<<"$out")" = 5 ] && pass operator/restart-with-config || fail operator/restart-with-config "$out"
fi

# 7. Folders and files without a server.
config fresh "clientPort=$PORT"
config apart "clientPort=$PORT" "dataLogDir=$WORK/apart/logs"
initialize() {
    run zkServer-initialize.sh --help
    run zkServer-initialize.sh --odd
    run zkServer-initialize.sh --configfile="$WORK/nowhere.cfg"
    run zkServer-initialize.sh --configfile="$WORK/fresh/zoo.cfg" --myid=7
    (cd "$WORK/fresh" && find data | sort) | while read -r file; do say "$file"; done
    say "myid $(cat "$WORK/fresh/data/myid")"
    run zkServer-initialize.sh --configfile "$WORK/fresh/zoo.cfg"
    run zkServer-initialize.sh --configfile "$WORK/fresh/zoo.cfg" --force
    [ -e "$WORK/fresh/data/myid" ] || say "no myid"
    # Logs in a folder of their own.
    run zkServer-initialize.sh --configfile="$WORK/apart/zoo.cfg" --myid=2
    (cd "$WORK/apart" && find data logs | sort) | while read -r file; do say "$file"; done
}
tools() {
    run zkCleanup.sh --config "$WORK/day"
    run zkCleanup.sh --config "$WORK/day" -n
    run zkCleanup.sh --config "$WORK/day" -n 2
    run zkCleanup.sh --config "$WORK/day" -n 3
    run zkTxnLogToolkit.sh
    run zkTxnLogToolkit.sh -h
    run zkTxnLogToolkit.sh "$LOG" | sed -n '1,2p;/create2* /p;/^EOF/p;$p' | sed -E -e 's/^.* session 0x[0-9a-f]+ /TIME session SID /' -e 's/after [0-9]+ txns/after N txns/' -e 's/create2 /create /'
    run zkTxnLogToolkit.sh -d "$LOG" | tail -n 1
    run zkSnapShotToolkit.sh
    run zkSnapShotToolkit.sh "$SNAPSHOT" | sed -n '1,4p;/^Last/p;$p'
    run zkSnapShotToolkit.sh -d "$SNAPSHOT" | grep -c '^  data = '
    run zkSnapshotComparer.sh
    run zkSnapshotComparer.sh -l "$SNAPSHOT" -b 1
}
if [ "$ZK_BIN" = "$ROOT/scripts" ] && ! "$OXKEEPER" purge --help >/dev/null 2>&1; then
    skip operator/initialize "this build has no data tools yet"
    skip operator/tools "this build has no data tools yet"
else
    initialize >"$WORK/initialize.txt"
    check initialize
    LOG="$(ls "$WORK"/day/data/version-2/log.* | head -n 1)" SNAPSHOT="$(ls "$WORK"/day/data/version-2/snapshot.* | head -n 1)"
    tools >"$WORK/tools.txt"
    check tools
fi
