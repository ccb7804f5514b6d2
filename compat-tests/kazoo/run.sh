#!/usr/bin/env bash
# kazoo's own test suite, as published, on a cluster of one server: `java ... QuorumPeerMain zoo.cfg`, which the suite calls,
# is the server under test (lib/shim/java). Arguments: modules (default: all). Tests that are left out: deselected.txt. Tests that
# race with themselves, and may be tried three times: races.txt.
. "$(dirname "$0")/../lib/common.sh"
begin kazoo 1500
VENV="$CACHE/kazoo-venv"
REQUIREMENTS="$COMPAT/kazoo/requirements.txt"
if ! cmp -s "$REQUIREMENTS" "$VENV/.done"; then
    note "installing kazoo and what its tests need"
    rm -rf "$VENV"
    { python3 -m venv "$VENV" && "$VENV/bin/pip" -q install -r "$REQUIREMENTS" && cp "$REQUIREMENTS" "$VENV/.done"; } >"$WORK/pip.log" 2>&1 ||
        give_up "kazoo could not be installed: $(tail -n 1 "$WORK/pip.log")"
fi
[ -n "${SERVER_CMD:-}" ] || resolve zookeeper || give_up "the jars could not be resolved"
export KAZOO_REPORT="$WORK/report.jsonl" KAZOO_DESELECT="$COMPAT/kazoo/deselected.txt" KAZOO_RACES="$COMPAT/kazoo/races.txt" PYTHONPATH="$COMPAT/kazoo" PATH="$LIB/shim:$PATH" TMPDIR="$WORK"
export ZOOKEEPER_VERSION="$ZK_VERSION" ZOOKEEPER_CLASSPATH=unused ZOOKEEPER_CLUSTER_SIZE=1
unset KRB5_TEST_ENV ZOOKEEPER_JAAS_AUTH
TESTS="$("$VENV/bin/python" -c 'import os, kazoo.tests as t; print(os.path.dirname(t.__file__))')"
[ $# -gt 0 ] || set -- $(cd "$TESTS" && ls test_*.py | sed 's/\.py$//')
cd "$WORK" || exit 1
for module in "$@"; do
    : >"$KAZOO_REPORT"
    ZOOKEEPER_PORT_OFFSET="$(free_ports 5)" limited 600 "$VENV/bin/python" -m pytest -p report -p no:cacheprovider -q \
        -o log_cli=false --timeout 90 --tb=short --pyargs "kazoo.tests.$module" >"$WORK/$module.log" 2>&1
    rc=$?
    ran=0
    while IFS=$'\t' read -r status test why; do
        case "$status" in
            pass) ran=$((ran + 1)) ;;
            skip) skip "kazoo/$test" "$why" ;;
            *) fail "kazoo/$test" "$why" ;;
        esac
    done < <(python3 -c 'import json, sys
for line in open(sys.argv[1]):
    test = json.loads(line)
    print(test["status"], test["name"], " ".join(test["why"].split()), sep="\t")' "$KAZOO_REPORT")
    [ $ran = 0 ] || pass "kazoo/$module" "$ran tests" $ran
    # 0: all well, 1: some failed and are reported above, 5: nothing to collect.
    case $rc in 0|1|5) ;; *) fail "kazoo/$module" "pytest ended with code $rc" ;; esac
    if grep -q '"fail"' "$KAZOO_REPORT"; then tail -n 60 "$WORK/$module.log" >&2; fi
done
