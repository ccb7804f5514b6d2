# The server under test of a scenario. Source it after common.sh; the work is done by the program `server`.
#   ZK_CONNECT  host:port of a server that runs already: then none is started (and none restarted).

# start_server: fills ZK_CONNECT, and SERVER_DIR when the server is our own.
start_server() {
    [ -n "${ZK_CONNECT:-}" ] && { export ZK_CONNECT; return; }
    SERVER_DIR="$WORK/server"
    "$LIB/server" "$SERVER_DIR" start 2>"$WORK/start.log" 8>&- || give_up "the server does not start: $(tail -n 1 "$WORK/start.log")"
    ZK_CONNECT="127.0.0.1:$(cat "$SERVER_DIR/port")"
    ZK_RESTART_CMD="'$LIB/server' '$SERVER_DIR' restart"
    export ZK_CONNECT ZK_RESTART_CMD SERVER_DIR
}

# zk ARGS...: one command of ZooKeeper's own shell. A JVM for each, so sparingly.
zk() {
    timeout -k 5 60 java -Xmx96m "${JVM[@]}" "-Dlogback.configurationFile=$LIB/conf/logback-off.xml" \
        -cp "$(classpath zookeeper)" org.apache.zookeeper.ZooKeeperMain -server "$ZK_CONNECT" "$@" 2>/dev/null
}
