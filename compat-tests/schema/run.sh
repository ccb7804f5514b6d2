#!/usr/bin/env bash
# How the original writes each of its records: src/proto/testdata/schema.txt, which the test of proto/schema_tests.rs reads,
# compared with what the classes of zookeeper-jute say. `run.sh --record` writes the file anew. No server is needed.
. "$(dirname "$0")/../lib/common.sh"
begin schema 120
resolve zookeeper || give_up "the jars could not be resolved"
compile zookeeper "$COMPAT/schema" || give_up "the program does not compile"
kept="$ROOT/src/proto/testdata/schema.txt"
{
    echo "# Written by compat-tests/schema/run.sh --record: fields in wire order and three samples of each generated record, as"
    echo "# the Java classes write them. In a filled sample every value is another, references of a null one are null, numbers"
    echo "# of an extreme one are the smallest and its texts, buffers and vectors are empty."
    limited 100 java "${JVM[@]}" -Dfile.encoding=UTF-8 -cp "$CACHE/classes-schema:$(classpath zookeeper)" Schema
} >"$WORK/schema.txt" 2>"$WORK/err.log" || { tail -n 20 "$WORK/err.log" >&2; give_up "the program failed"; }
[ "${1:-}" = --record ] && { mkdir -p "$(dirname "$kept")"; cp "$WORK/schema.txt" "$kept"; }
if diff -u "$kept" "$WORK/schema.txt" >"$WORK/diff"; then
    pass schema "$(grep -c '^record' "$kept") records"
else
    head -n 40 "$WORK/diff" >&2
    fail schema "the records of the original are not those of schema.txt"
fi
