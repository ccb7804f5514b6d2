#!/usr/bin/env bash
# The server as a daemon, with the commands, outputs, exit codes and variables of Apache ZooKeeper's zkServer.sh:
#   zkServer.sh [--config DIR] start|start-foreground|stop|restart|status|version|print-cmd [CONFIGURATION]
#
#   ZOOPIDFILE                      where the process id is kept (default dataDir/zookeeper_server.pid)
#   ZOO_DATADIR_AUTOCREATE_DISABLE  refuse to start without the data folders
#   ZOO_NOEXEC                      start-foreground keeps the shell
# There is no JMX here: JMXDISABLE and its like have no effect. zkEnv.sh has the other variables.

. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"

if [ -n "${2:-}" ]; then
    # A name is looked for beside zoo.cfg, a path is a path.
    case "$2" in
        */*) ZOOCFG="$2" ;;
        *) ZOOCFG="$ZOOCFGDIR/$2" ;;
    esac
fi
echo "Using config: $ZOOCFG" >&2

flags=()
ZOO_DATADIR="$(setting dataDir "$ZOOCFG")"
ZOO_DATALOGDIR="$(setting dataLogDir "$ZOOCFG")"
if [ -n "${ZOO_DATADIR_AUTOCREATE_DISABLE:-}" ]; then
    if [ ! -d "$ZOO_DATADIR/version-2" ]; then
        echo "ZooKeeper data directory is missing at $ZOO_DATADIR fix the path or run initialize"
        exit 1
    fi
    if [ -n "$ZOO_DATALOGDIR" ] && [ ! -d "$ZOO_DATALOGDIR/version-2" ]; then
        echo "ZooKeeper txnlog directory is missing at $ZOO_DATALOGDIR fix the path or run initialize"
        exit 1
    fi
    flags=(-Dzookeeper.datadir.autocreate=false)
fi
ZOOPIDFILE="${ZOOPIDFILE:-$ZOO_DATADIR/zookeeper_server.pid}"
OUT="$ZOO_LOG_DIR/zookeeper-$(id -un)-server-${HOSTNAME:-$(uname -n)}.out"

# alive PID: there is such a process. One of ours that has ended does not count.
alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"; }

start() {
    echo -n "Starting zookeeper ... "
    if [ -f "$ZOOPIDFILE" ] && alive "$(cat "$ZOOPIDFILE")"; then
        echo "already running as process $(cat "$ZOOPIDFILE")."
        exit 1
    fi
    # Without a dataDir the server will say what it misses; the id of its process has no place then.
    [ "$ZOOPIDFILE" != /zookeeper_server.pid ] || ZOOPIDFILE=/dev/null
    mkdir -p "$ZOO_LOG_DIR" "$(dirname "$ZOOPIDFILE")"
    nohup "$OXKEEPER" server "${flags[@]}" "$ZOOCFG" >"$OUT" 2>&1 </dev/null &
    local pid=$! tenth
    if ! echo -n "$pid" >"$ZOOPIDFILE"; then
        echo FAILED TO WRITE PID
        exit 1
    fi
    for tenth in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.1
        if ! alive "$pid"; then
            echo FAILED TO START
            exit 1
        fi
    done
    echo STARTED
}

stop() {
    echo -n "Stopping zookeeper ... "
    if [ ! -f "$ZOOPIDFILE" ]; then
        echo "no zookeeper to stop (could not find file $ZOOPIDFILE)"
        return
    fi
    local pid tenth
    pid="$(cat "$ZOOPIDFILE")"
    kill "$pid"
    rm "$ZOOPIDFILE"
    # Half a minute at most; it is gone at once, but for a disk that hangs.
    for ((tenth = 0; tenth < 300; tenth++)); do
        alive "$pid" || break
        sleep 0.1
    done
    echo STOPPED
}

# find_client_port: where clients connect, from the configuration, as the original looks for it.
find_client_port() {
    local data_dir myid found secure
    isSSL=false
    clientPortAddress="$(setting clientPortAddress "$ZOOCFG")"
    clientPortAddress="${clientPortAddress:-localhost}"
    clientPort="$(setting clientPort "$ZOOCFG")"
    if ! [[ $clientPort =~ ^[0-9]+$ ]]; then
        clientPort=""
        data_dir="$ZOO_DATADIR"
        myid="$(cat "$data_dir/myid" 2>/dev/null)"
        if ! [[ $myid =~ ^[0-9]+$ ]]; then
            echo "myid could not be determined, will not able to locate clientPort in the server configs."
        else
            found="$(setting "server[.]$myid" "$ZOOCFG" | grep ';' | sed -e 's/.*;//')"
            if [ -z "$found" ]; then
                echo "Client port not found in static config file. Looking in dynamic config file."
                found="$(setting "server[.]$myid" "$(setting dynamicConfigFile "$ZOOCFG")" | grep ';' | sed -e 's/.*;//')"
            fi
            if [ -z "$found" ]; then
                echo "Client port not found in the server configs"
            elif [[ $found =~ ^\[?([^]]*)\]?:([0-9]+) ]]; then
                clientPortAddress="${BASH_REMATCH[1]}"
                clientPort="${BASH_REMATCH[2]}"
            else
                clientPort="$found"
            fi
        fi
    fi
    if [ -z "$clientPort" ]; then
        echo "Client port not found. Looking for secureClientPort in the static config."
        secure="$(setting secureClientPort "$ZOOCFG")"
        if [ -z "$secure" ]; then
            echo "Unable to find either secure or unsecure client port in any configs. Terminating."
            exit 1
        fi
        isSSL=true
        clientPort="$secure"
        clientPortAddress="$(setting secureClientPortAddress "$ZOOCFG")"
        clientPortAddress="${clientPortAddress:-localhost}"
    fi
    echo "Client port found: $clientPort. Client address: $clientPortAddress. Client SSL: $isSSL."
}

status() {
    local answer
    find_client_port
    answer="$("$OXKEEPER" 4lw "$clientPortAddress" "$clientPort" srvr "$isSSL" 2>/dev/null | grep Mode)"
    if [ -z "$answer" ]; then
        if [ "$isSSL" = true ]; then
            echo " "
            echo "Note: We used secureClientPort ($clientPort) to establish connection, but we failed. The 'status'"
            echo "  command establishes a client connection to the server to execute diagnostic commands. Please make sure you"
            echo "  provided all the Client SSL connection related parameters in the CLIENT_JVMFLAGS environment variable!"
            echo " "
        fi
        echo "Error contacting service. It is probably not running."
        exit 1
    fi
    echo "$answer"
}

# quoted WORD...: words as a shell would take them, each between quotes.
quoted() { printf ' "%s"' "$@"; }

case "${1:-}" in
    start) start ;;
    start-foreground)
        command=(exec "$OXKEEPER")
        [ -z "${ZOO_NOEXEC:-}" ] || command=("$OXKEEPER")
        "${command[@]}" server "${flags[@]}" "$ZOOCFG"
        ;;
    print-cmd)
        # shellcheck disable=SC2086,SC2206
        words=(server "${flags[@]}" ${SERVER_JVMFLAGS:-} ${JVMFLAGS:-} "$ZOOCFG")
        echo "\"$OXKEEPER\"$(quoted "${words[@]}") > \"$OUT\" 2>&1 < /dev/null"
        ;;
    stop) stop ;;
    version) "$OXKEEPER" version zookeeper ;;
    restart)
        stop
        start
        ;;
    status) status ;;
    *) echo "Usage: $0 [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}" >&2 ;;
esac
