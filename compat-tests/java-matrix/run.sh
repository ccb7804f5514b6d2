#!/usr/bin/env bash
# Every operation of the public Java client 3.9.5, and bare frames for the rest, against the server under test: the
# transcript is compared with expected.txt, which the Java server answered. `run.sh --record` writes that anew.
# Arguments: names of sections, whose transcript is then printed only.
. "$(dirname "$0")/../lib/common.sh"
. "$LIB/server.sh"
HERE="$COMPAT/java-matrix"
begin java-matrix 300
resolve zookeeper || give_up "the jars could not be resolved"
compile zookeeper "$HERE" || give_up "the program does not compile"
RECORD=0; [ "${1:-}" = --record ] && { RECORD=1; shift; }
# Quotas are enforced, there is a super user (super:secret), and containers are looked after each second.
export SERVER_LINES="enforceQuota=true
DigestAuthenticationProvider.superDigest=super:$(python3 -c 'import base64, hashlib; print(base64.b64encode(hashlib.sha1(b"super:secret").digest()).decode())')"
SERVER_JVMFLAGS="${SERVER_JVMFLAGS:-} -Dznode.container.checkIntervalMs=1000"
export SERVER_JVMFLAGS
start_server
limited 280 java "${JVM[@]}" -Xmx256m -Dzookeeper.sasl.client=false "-Dlogback.configurationFile=$LIB/conf/logback-off.xml" \
    -cp "$CACHE/classes-java-matrix:$(classpath zookeeper)" Matrix "$ZK_CONNECT" "$@" >"$WORK/transcript.txt" 2>"$WORK/err.log"
rc=$?
[ $# = 0 ] || { cat "$WORK/transcript.txt" "$WORK/err.log" >&2; pass java-matrix "transcript printed, not compared"; exit; }
[ $RECORD = 1 ] && [ $rc = 0 ] && cp "$WORK/transcript.txt" "$HERE/expected.txt"
[ $rc = 0 ] || { tail -n 20 "$WORK/err.log" >&2; fail java-matrix "the program ended with code $rc"; }
# A verdict for each section, so that one difference does not hide another.
sections() { awk -v dir="$2" '/^## / { name = $2 } { print > (dir "/" (name == "" ? "head" : name)) }' "$1"; }
mkdir -p "$WORK/expected" "$WORK/got"
sections "$HERE/expected.txt" "$WORK/expected"
sections "$WORK/transcript.txt" "$WORK/got"
for section in $(sed -n 's/^## //p' "$HERE/expected.txt"); do
    touch "$WORK/got/$section"
    if diff -u --label expected/"$section" --label got/"$section" "$WORK/expected/$section" "$WORK/got/$section" >"$WORK/diff"; then
        pass "java-matrix/$section" "$(grep -c . "$WORK/got/$section") lines"
    else
        head -n 40 "$WORK/diff" >&2
        fail "java-matrix/$section" "$(grep -c '^[-+][^-+]' "$WORK/diff") lines differ"
    fi
done
