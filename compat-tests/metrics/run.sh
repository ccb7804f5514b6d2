#!/usr/bin/env bash
# The same requests to Apache's server and to the server under test, and what the page of metrics of both then shows.
. "$(dirname "$0")/../lib/common.sh"
begin metrics 120
export TMPDIR="$WORK"
[ -n "${SERVER_CMD:-}" ] || give_up "SERVER_CMD is not set: compared with itself, the original proves nothing"
resolve zookeeper-prometheus || give_up "the original's exporter cannot be resolved"
limited 110 python3 "$COMPAT/metrics/compare.py" "$SERVER_CMD" "$LIB/java-server" >"$WORK/compare.log" 2>"$WORK/compare.err"
while read -r verdict name rest; do
    case "$verdict" in
        PASS) pass "$name" "$rest" ;;
        FAIL) fail "$name" "$rest" ;;
    esac
done <"$WORK/compare.log"
tail -n 1 "$WORK/compare.log" | grep -q '^[0-9]* passed' || fail compare "ended early: $(tail -n 2 "$WORK/compare.err")"
