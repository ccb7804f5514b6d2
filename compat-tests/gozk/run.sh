#!/usr/bin/env bash
# go-zookeeper's own integration tests, as published, each of which starts `zkServer.sh start-foreground zoo.cfg`: here the
# server under test. Arguments: names of tests (default: all). Tests that are left out: deselected.txt.
. "$(dirname "$0")/../lib/common.sh"
VERSION=v1.0.4
begin gozk 600
[ -n "${SERVER_CMD:-}" ] || resolve zookeeper || give_up "the jars could not be resolved"
export GOPATH="$CACHE/go" GOFLAGS="-modcacherw -buildvcs=false"
MODULE="$(cd "$WORK" && go mod download -json "github.com/go-zookeeper/zk@$VERSION" 2>"$WORK/download.log" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')"
[ -d "$MODULE" ] || give_up "the module could not be downloaded: $(tail -n 1 "$WORK/download.log")"
cp -r "$MODULE" "$WORK/src"
chmod -R u+w "$WORK/src"
cd "$WORK/src" || exit 1
# The tests wait for `srvr`, whose build date this library reads as servers before 3.6 wrote it, month/day/year. 3.9 writes
# year-month-day, so on a Java server nothing would run either. The library, not its tests, is told that form.
sed -i -e 's#built on (\\d\\d/\\d\\d/\\d\\d\\d\\d#built on (\\d\\d\\d\\d-\\d\\d-\\d\\d#' -e 's#"01/02/2006 15:04 MST", match#"2006-01-02 15:04 MST", match#' flw.go
mkdir -p "$WORK/bin"
cat >"$WORK/bin/zkServer.sh" <<ZKSERVER
#!/usr/bin/env bash
exec ${SERVER_CMD:-$LIB/java-server} "\$2"
ZKSERVER
chmod +x "$WORK/bin/zkServer.sh"
export ZOOKEEPER_BIN_PATH="$WORK/bin" ZK_VERSION TMPDIR="$WORK"

reason() { awk -F '\t' -v test="$1" '$1 == test { print $2 }' "$COMPAT/gozk/deselected.txt"; }
[ $# -gt 0 ] || set -- $(go test -list . . 2>"$WORK/build.log" | grep '^Test' | sort)
[ $# -gt 0 ] || give_up "the tests do not compile: $(tail -n 1 "$WORK/build.log")"
run=()
for test in "$@"; do
    why="$(reason "$test")"
    # The others need no server and are the library's own business.
    if [ -n "$why" ]; then skip "gozk/$test" "$why"; elif [[ $test == TestIntegration* ]]; then run+=("$test"); fi
done
limited 560 go test -count=1 -p 1 -parallel 1 -timeout 540s -json -run "^($(IFS='|'; echo "${run[*]}"))\$" . >"$WORK/go.json" 2>"$WORK/go.err"
while IFS=$'\t' read -r action test why; do
    case "$action" in
        pass) pass "gozk/$test" "$why s" ;;
        skip) skip "gozk/$test" "skips itself: $why" ;;
        *) fail "gozk/$test" "$why" ;;
    esac
done < <(python3 "$COMPAT/gozk/results.py" "$WORK/go.json" "${run[@]}")
if [ $FAILED != 0 ]; then tail -n 20 "$WORK/go.err" >&2; fi
