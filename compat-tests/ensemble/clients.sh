#!/usr/bin/env bash
# Real clients and systems on ensembles whose members are replaced or killed: clients.sh [NAME...] (clients.py has the names).
. "$(dirname "$0")/../lib/common.sh"
begin ensemble-clients 2400
[ -n "${SERVER_CMD:-}" ] || give_up "SERVER_CMD must be the server that is tested"
resolve zookeeper || give_up "Java's server cannot be had"
resolve curator || give_up "the jars could not be resolved"
compile curator "$COMPAT/ensemble/curator-load" || give_up "CuratorLoad does not compile"
VENV="$CACHE/kazoo-venv"
[ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c 'import kazoo' 2>/dev/null || {
    python3 -m venv "$VENV" && "$VENV/bin/pip" -q install -r "$COMPAT/kazoo/requirements.txt" && cp "$COMPAT/kazoo/requirements.txt" "$VENV/.done"
} >"$WORK/pip.log" 2>&1 || give_up "kazoo could not be installed: $(tail -n 1 "$WORK/pip.log")"
export KAZOO="$VENV/bin/python $COMPAT/ensemble/kazoo_load.py"
CLASSES="$CACHE/classes-curator-load"
export CURATOR="java ${JVM[*]} -Xmx128m -Dorg.slf4j.simpleLogger.defaultLogLevel=error -Dzookeeper.sasl.client=false -cp $CLASSES:$(classpath curator) CuratorLoad"
export TMPDIR="$WORK"
limited 2300 python3 "$COMPAT/ensemble/clients.py" "$SERVER_CMD" "$LIB/java-server" "$@" >"$WORK/out" 2>"$WORK/err"
while read -r verdict name rest; do
    case "$verdict" in
        ok) pass "clients/${name%:}" "$rest" ;;
        FAILED) fail "clients/${name%:}" "$rest" ;;
        SKIPPED) skip "clients/${name%:}" "$rest" ;;
    esac
done <"$WORK/out"
[ $FAILED = 0 ] || tail -n 60 "$WORK/err" >&2
