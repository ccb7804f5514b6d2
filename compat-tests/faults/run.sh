#!/usr/bin/env bash
# run.sh ARGS...: starts the campaign of faults with the servers it needs; scripts/campaign-faults calls it.
#   SERVER_CMD         the server under test (default: our own, built here)
#   CAMPAIGN_PROFILE   its Cargo profile (default quick)
. "$(dirname "$0")/../lib/common.sh"
profile="${CAMPAIGN_PROFILE:-quick}" folder="${CAMPAIGN_PROFILE:-quick}"
[ "$profile" = dev ] && folder=debug
if [ -z "${SERVER_CMD:-}" ]; then
    cargo build --quiet --locked --manifest-path "$ROOT/Cargo.toml" --profile "$profile" --bin oxkeeper || exit 1
    SERVER_CMD="${CARGO_TARGET_DIR:-$ROOT/target}/$folder/oxkeeper server"
fi
args=(--server "$SERVER_CMD")
# Members of Java are asked for by --mix.
case " $* " in *java*) resolve zookeeper || exit 1; args+=(--java "$LIB/java-server") ;; esac
python3 "$COMPAT/faults/checker_test.py" || exit 1
exec python3 "$COMPAT/faults/faults.py" "${args[@]}" "$@"
