#!/usr/bin/env bash
# run.sh MODE ARGS...: starts the campaign program with the servers it needs; scripts/campaign-* call it.
#   SERVER_CMD         the server under test (default: our own, built here)
#   CAMPAIGN_PROFILE   the Cargo profile of both (default quick)
#   CAMPAIGN_NO_JAVA=1 leaves Java out of kill9
. "$(dirname "$0")/../lib/common.sh"
mode="$1"; shift
passed=0 failed=0 skipped=0

# A campaign that cannot run here says why, and counts as skipped.
leave_out() { echo "SKIP $mode $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
case "$mode" in
    powercut | diskfull)
        [ "$(id -u)" = 0 ] || leave_out "mounting needs root"
        for tool in xfs_io mkfs.xfs mkfs.ext4 strace; do
            command -v $tool >/dev/null || apt-get install -y -q --no-install-recommends xfsprogs e2fsprogs strace >/dev/null 2>&1
            command -v $tool >/dev/null || leave_out "$tool is missing (packages xfsprogs, e2fsprogs, strace)"
        done
        losetup -f >/dev/null 2>&1 || leave_out "there is no loop device" ;;
esac

profile="${CAMPAIGN_PROFILE:-quick}" folder="${CAMPAIGN_PROFILE:-quick}"
[ "$profile" = dev ] && folder=debug
build=(cargo build --quiet --locked --manifest-path "$ROOT/Cargo.toml" --profile "$profile" --example campaign)
[ -n "${SERVER_CMD:-}" ] || build+=(--bin oxkeeper)
"${build[@]}" || exit 1
target="${CARGO_TARGET_DIR:-$ROOT/target}/$folder"
args=(--server "${SERVER_CMD:-$target/oxkeeper server}")
case "$mode" in
    handover) args+=(--java "$LIB/java-server") ;;
    kill9) [ "${CAMPAIGN_NO_JAVA:-0}" = 1 ] || args+=(--java "$LIB/java-server") ;;
esac
[[ ${args[*]} == *java-server* ]] && { resolve zookeeper || exit 1; }

# campaign ARGS...: one run in a folder of its own, which is kept when it fails.
campaign() {
    local work line p f
    work="$(mktemp -d "${TMPDIR:-/tmp}/oxkeeper-$mode.XXXXXX")"
    while IFS= read -r line; do
        case "$line" in
            *" passed, "*" skipped") read -r p _ f _ <<<"$line"; passed=$((passed + p)) failed=$((failed + ${f%%,*})) ;;
            *) printf '%s\n' "$line" ;;
        esac
    done < <("$target/examples/campaign" "$mode" --work "$work" "${args[@]}" "$@" || touch "$work/failed")
    if [ -e "$work/failed" ]; then
        echo "files kept in $work"
        [ $((p + f)) -gt 0 ] 2>/dev/null || { echo "FAIL $mode ended without a verdict"; failed=$((failed + 1)); }
    else
        rm -rf "$work"
    fi
}
if [ "$mode" = powercut ]; then
    campaign --fs ext4 "$@"
    campaign --fs xfs "$@"
else
    campaign "$@"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
