#!/usr/bin/env bash
# The admin server of Java and the one under test, side by side: the same data, the same requests, status codes and
# documents compared; what differs by nature (times, ids, sizes, readings) by its kind alone. At last each takes the
# other's snapshot. Differences on purpose stand in compare.py.
. "$(dirname "$0")/../lib/common.sh"
begin admin 120
resolve zookeeper || give_up "Java's server cannot be had"
CANDIDATE="${SERVER_CMD:-$LIB/java-server}"
read -r JAVA_ADMIN OUR_ADMIN < <(free_ports 2 | awk '{print $1, $1 + 1}')
lines() { # PORT
    printf '%s\n' admin.enableServer=true "admin.serverPort=$1" admin.serverAddress=127.0.0.1 \
        admin.rateLimiterIntervalInMS=0 \
        "DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4="
}
cleanup() { "$LIB/server" "$WORK/java" stop; "$LIB/server" "$WORK/ours" stop; }
SERVER_CMD="$LIB/java-server" SERVER_LINES="$(lines "$JAVA_ADMIN")" "$LIB/server" "$WORK/java" start 8>&- >"$WORK/java.log" 2>&1 &
STARTING=$!
SERVER_CMD="$CANDIDATE" SERVER_LINES="$(lines "$OUR_ADMIN")" "$LIB/server" "$WORK/ours" start 8>&- >"$WORK/ours.log" 2>&1 \
    || give_up "the server does not start: $(tail -n 1 "$WORK/ours/server.log")"
wait "$STARTING" || give_up "Java's server does not start: $(tail -n 1 "$WORK/java/server.log")"
SERVER_DIR="$WORK/ours"
verdicts admin timeout -k 5 100 python3 "$COMPAT/admin/compare.py" "$(cat "$WORK/java/port")" "$JAVA_ADMIN" "$(cat "$WORK/ours/port")" "$OUR_ADMIN"
