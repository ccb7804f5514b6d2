#!/usr/bin/env bash
# Healthy is a server that serves: standalone, or a member with a quorum. `healthcheck.sh alive` asks less: that it answers.
export ZOOCFGDIR="${ZOO_CONF_DIR:-/conf}"
[ -f "$ZOOCFGDIR/zoo.cfg" ] || ZOOCFGDIR="${TMPDIR:-/tmp}/conf"
status="$(zkServer.sh status 2>&1)" && exit 0
if [ "${1:-}" = alive ] && [[ $status =~ Client\ port\ found:\ ([0-9]+).\ Client\ address:\ ([^ ]+)\.\ Client ]]; then
    exec oxkeeper 4lw "${BASH_REMATCH[2]}" "${BASH_REMATCH[1]}" srvr >/dev/null
fi
echo "$status"
exit 1
