#!/usr/bin/env bash
# Strangers, liars, the slow and the dying: hostile.py and lifecycle.py against the server under test; ensemble.py does the same
# to the ports between members, of our own server only.
#   HOSTILE_CONNECTIONS  slow readers and half-open handshakes at a time (default 10000, or what `ulimit -Hn` allows)
. "$(dirname "$0")/../lib/common.sh"
begin hostile 1200
command="${SERVER_CMD:-$LIB/java-server}"
export TMPDIR="$WORK"
parts=(hostile lifecycle)
if [[ $command == *oxkeeper* ]]; then parts+=(ensemble); else skip ensemble "Java's election port hears one stranger at a time"; fi
for part in "${parts[@]}"; do
    more=()
    [ $part = ensemble ] && more=(--connections 1000)
    [ $part = hostile ] && more=(--connections "${HOSTILE_CONNECTIONS:-10000}")
    limited 1100 python3 "$COMPAT/hostile/$part.py" --server "$command" "${more[@]}" >"$WORK/$part.log" 2>"$WORK/$part.err"
    while read -r verdict name rest; do
        case "$verdict" in
            PASS) pass "$name" "$rest" ;;
            FAIL) fail "$name" "$rest" ;;
        esac
    done <"$WORK/$part.log"
    tail -n 1 "$WORK/$part.log" | grep -q '^[0-9]* passed' || fail "$part" "ended early: $(tail -n 2 "$WORK/$part.err")"
done
