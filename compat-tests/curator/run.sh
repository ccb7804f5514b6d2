#!/usr/bin/env bash
# Recipes of Curator 5.9 (client 3.9.3) against the server under test. Arguments: names of single tests (default: all).
. "$(dirname "$0")/../lib/common.sh"
. "$LIB/server.sh"
begin curator 420
resolve curator || give_up "the jars could not be resolved"
compile curator "$COMPAT/curator" || give_up "CuratorRecipes does not compile"
start_server
limited 400 java "${JVM[@]}" -Xmx256m -Xss512k -Dorg.slf4j.simpleLogger.defaultLogLevel=error -Dzookeeper.sasl.client=false \
    -cp "$CACHE/classes-curator:$(classpath curator)" CuratorRecipes "$ZK_CONNECT" "/curator-$$-$(date +%s)" "$@" \
    >"$WORK/out.log" 2>"$WORK/err.log"
rc=$?
while read -r test verdict; do
    case "$verdict" in
        ok*) pass "curator/$test" "${verdict#ok }" ;;
        skipped*) skip "curator/$test" "${verdict#skipped }" ;;
        *) fail "curator/$test" "${verdict#failed }" ;;
    esac
done < <(sed -n 's/^recipe //p' "$WORK/out.log")
[ $FAILED = 0 ] || grep -v '^recipe ' "$WORK/out.log" "$WORK/err.log" | tail -n 40 >&2
[ $rc = 0 ] || [ $FAILED != 0 ] || fail curator "ended with code $rc"
