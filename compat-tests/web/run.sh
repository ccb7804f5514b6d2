#!/usr/bin/env bash
# The web page of the admin server in a real browser, while the server is under load: what it shows is asserted, and
# pictures are taken for human eyes:
#   run.sh [FOLDER]      pictures go to FOLDER (default target/web)
# Installs chromium and its driver by apt when they are missing; where that fails, it is skipped.
. "$(dirname "$0")/../lib/common.sh"
begin web 240
PICTURES="${1:-$ROOT/target/web}"
[[ "$PICTURES" == /* ]] || PICTURES="$PWD/$PICTURES"
mkdir -p "$PICTURES"
[ -n "${SERVER_CMD:-}" ] || give_up "SERVER_CMD must be the server whose page is tested"
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    note "installing chromium"
    SUDO=""; [ "$(id -u)" = 0 ] || SUDO=sudo
    { $SUDO apt-get update -q && DEBIAN_FRONTEND=noninteractive $SUDO apt-get install -y -q --no-install-recommends \
        chromium chromium-driver fonts-dejavu-core; } >"$WORK/apt.log" 2>&1 ||
        { skip web "chromium cannot be installed: $(tail -n 1 "$WORK/apt.log")"; exit 0; }
fi
FIRST="$(free_ports 2)"
SERVER_LINES="$(printf '%s\n' admin.enableServer=true "admin.serverPort=$FIRST" admin.serverAddress=127.0.0.1)"
export SERVER_LINES
. "$LIB/server.sh"
start_server
verdicts web timeout -k 5 200 python3 "$COMPAT/web/drive.py" "${ZK_CONNECT##*:}" "$FIRST" "$((FIRST + 1))" "$PICTURES" "$(cat "$SERVER_DIR/pid")"
note "pictures are in $PICTURES"
