# What every scenario shares: the cache of jars, verdicts, time limits, processes that end with the scenario.
# Source it from a scenario's run.sh, then call `begin NAME SECONDS`; the server under test is in server.sh.
#
#   OXKEEPER_CACHE  jars from Maven, compiled classes, Python and Go packages   (default target/compat-cache)
#   COMPAT_KEEP=1   keeps the scratch folder of a passing scenario
#   COMPAT_LIMIT    overrides a scenario's own time limit, in seconds

set -u
COMPAT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
ROOT="$(dirname "$COMPAT")"
LIB="$COMPAT/lib"
CACHE="${OXKEEPER_CACHE:-$ROOT/target/compat-cache}"
mkdir -p "$CACHE" && CACHE="$(cd "$CACHE" && pwd)"
export COMPAT ROOT LIB CACHE
# Scenarios change folders; a relative SERVER_CMD is meant from here.
if [[ ${SERVER_CMD:-} == */* && $SERVER_CMD != /* ]]; then export SERVER_CMD="$PWD/$SERVER_CMD"; fi
NAME=compat PASSED=0 FAILED=0 SKIPPED=0 PIDS=() STARTED=$SECONDS
# Small and quiet JVMs: the machine may have two cores, and most of them live for a second.
JVM=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true)
ZK_VERSION=3.9.5

note() { printf '%s [%s] %s\n' "$(date +%H:%M:%S)" "$NAME" "$*" >&2; }

# ---- jars and classes --------------------------------------------------------------------------

# resolve POM: the jars of poms/POM.xml, once, in $CACHE/POM-<hash of the pom>/lib. A changed pom gets a new
# folder, so that running processes keep theirs.
resolve() {
    local pom="$LIB/poms/$1.xml" dir
    dir="$CACHE/$1-$(sha256sum <"$pom" | cut -c1-12)"
    (
        flock 9
        [ -f "$dir/.done" ] && exit 0
        note "resolving $1 with Maven"
        rm -rf "$dir"; mkdir -p "$dir/lib"; cp "$pom" "$dir/pom.xml"
        (cd "$dir" && timeout 1500 mvn -B -q dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$dir/lib" >"$dir/mvn.log" 2>&1) || { tail -20 "$dir/mvn.log" >&2; exit 1; }
        touch "$dir/.done"
    ) 9>"$CACHE/$1.lock" || return 1
    ln -sfn "$dir" "$CACHE/$1"
}

# classpath POM: the resolved jars, as a class path.
classpath() { printf '%s/lib/*' "$(readlink -f "$CACHE/$1")"; }

# compile POM FOLDER: FOLDER/*.java and lib/java/*.java against the jars of POM, into $CACHE/classes-<name of FOLDER>.
compile() {
    local out key
    out="$CACHE/classes-$(basename "$2")"
    key="$({ readlink -f "$CACHE/$1"; cat "$2"/*.java "$LIB"/java/*.java; } | sha256sum)"
    (
        flock 9
        [ "$(cat "$out/.done" 2>/dev/null)" = "$key" ] && exit 0
        rm -rf "$out"; mkdir -p "$out"
        javac -nowarn -Xlint:none -J-Xmx256m -cp "$(classpath "$1")" -d "$out" "$2"/*.java "$LIB"/java/*.java >&2 || exit 1
        printf '%s\n' "$key" >"$out/.done"
    ) 9>"$out.lock"
}

# ---- verdicts ----------------------------------------------------------------------------------

# Verdicts go to descriptor 8, the scenario's own standard output, also from within redirected functions.
pass() { PASSED=$((PASSED + ${3:-1})); echo "PASS $1${2:+ ($2)}" >&8; }
fail() { FAILED=$((FAILED + 1)); echo "FAIL $1 $2" >&8; }
skip() { SKIPPED=$((SKIPPED + 1)); echo "SKIP $1 $2" >&8; }
# give_up REASON: the scenario cannot go on.
give_up() { fail "$NAME" "$*"; exit 1; }

# verdicts NAME CMD...: the command's lines "PASS what why" and "FAIL what why" are verdicts, the others are its log.
# That it comes to its end is a verdict too: a command that breaks off has not said everything.
verdicts() {
    local name="$1" verdict what rest code=0
    shift
    while read -r verdict what rest; do
        case "$verdict" in
            PASS) pass "$name/$what" "$rest" ;;
            FAIL) fail "$name/$what" "$rest" ;;
            *) echo "$verdict $what $rest" >&2 ;;
        esac
    done < <("$@" 2>&1 8>&-)
    wait "$!" || code=$?
    [ $code = 0 ] || fail "$name" "its checks broke off with code $code"
}

# begin NAME SECONDS: a scratch folder ($WORK), the time limit, and the clean-up at the end.
begin() {
    NAME="$1"
    local limit="${COMPAT_LIMIT:-$2}"
    WORK="$(mktemp -d "${TMPDIR:-/tmp}/oxkeeper-$NAME.XXXXXX")"
    exec 8>&1
    trap finish EXIT
    trap 'give_up interrupted' INT TERM
    trap 'give_up "is over its limit of '"$limit"' s"' USR1
    # The shell takes the signal only when its foreground command ends, so that one is ended as well.
    ( trap - EXIT INT TERM USR1
      i=0; while [ $i -lt "$limit" ]; do sleep 1; i=$((i + 1)); kill -0 $$ 2>/dev/null || exit 0; done
      kill -USR1 $$; sleep 1
      for c in $(ps -o pid=,comm= --ppid $$ | awk '$2 == "timeout" {print $1}'); do kill "$c"; done
    ) >/dev/null 2>&1 8>&- &
    WATCHDOG=$!
}

finish() {
    local rc=$? p
    trap - EXIT INT TERM USR1
    kill "$WATCHDOG" 2>/dev/null
    if declare -F cleanup >/dev/null; then cleanup >/dev/null 2>&1; fi
    for p in "${PIDS[@]:-}"; do [ -n "$p" ] && end_process "$p" 2>/dev/null; done
    [ -n "${SERVER_DIR:-}" ] && "$LIB/server" "$SERVER_DIR" stop >/dev/null 2>&1
    [ $((PASSED + FAILED + SKIPPED)) = 0 ] && fail "$NAME" "ended early with code $rc"
    if [ $FAILED = 0 ]; then
        [ "${COMPAT_KEEP:-0}" = 1 ] || rm -rf "$WORK"
    else
        [ -f "${SERVER_DIR:-}/server.log" ] && { note "the last lines of the server's log:"; tail -n 25 "$SERVER_DIR/server.log" >&2; }
        note "files kept in $WORK"
    fi
    note "took $((SECONDS - STARTED)) s"
    echo "$PASSED passed, $FAILED failed, $SKIPPED skipped" >&8
    [ $FAILED = 0 ]; exit $?
}

# ---- processes ---------------------------------------------------------------------------------

# spawn LOG CMD...: a process in the background, ended with the scenario; its pid is in $SPAWNED.
spawn() {
    local log="$1"; shift
    "$@" >>"$log" 2>&1 </dev/null 8>&- &
    SPAWNED=$!
    PIDS+=("$SPAWNED")
}

# limited SECONDS CMD...: a command under its own limit, during which the scenario still hears its watchdog.
limited() {
    local limit="$1"; shift
    timeout -k 5 "$limit" "$@" 8>&- &
    PIDS+=("$!")
    wait "$!"
}

# running PID: it exists, and is no zombie.
running() { [ -e "/proc/$1/stat" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

# end_process PID [SIGNAL]: ends it, with -9 after ten seconds.
end_process() {
    local i=0
    running "$1" || return 0
    kill "-${2:-TERM}" "$1" 2>/dev/null
    while [ $i -lt 50 ] && running "$1"; do sleep 0.2; i=$((i + 1)); done
    running "$1" && kill -9 "$1"
    wait "$1" 2>/dev/null
    return 0
}

# free_ports N: the first of N free ports in a row. They lie below the range that the kernel takes for outgoing
# connections: else a client that tries to reconnect to a stopped server may be given that very port.
free_ports() { python3 "$LIB/free_ports.py" "$1"; }
