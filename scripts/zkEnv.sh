#!/usr/bin/env bash
# What the zk*.sh scripts share; they source it. The names are those of Apache ZooKeeper, whose scripts operators know:
#
#   --config DIR      as the first argument of a script: the folder of zoo.cfg, also as ZOOCFGDIR
#   ZOOCFG            name of the configuration in that folder (default zoo.cfg)
#   ZOO_LOG_DIR       where the server's output goes (default logs beside the folder of the scripts)
#   SERVER_JVMFLAGS, CLIENT_JVMFLAGS, JVMFLAGS
#                     their -D words count, as server and client properties; what only a JVM understands is ignored
#   OXKEEPER          the program (default: beside the scripts, then the PATH, then what cargo has built here)
#
# A zookeeper-env.sh or java.env in the folder of zoo.cfg is sourced.

ZOOBINDIR="${ZOOBINDIR:-$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)}"
ZOOKEEPER_PREFIX="$ZOOBINDIR/.."

if [ $# -gt 1 ] && [ "$1" = --config ]; then
    ZOOCFGDIR="$2"
    shift 2
fi
if [ -z "${ZOOCFGDIR:-}" ]; then
    ZOOCFGDIR="$ZOOKEEPER_PREFIX/etc/zookeeper"
    [ -e "$ZOOKEEPER_PREFIX/conf" ] && ZOOCFGDIR="$ZOOKEEPER_PREFIX/conf"
    # As the Debian package has it.
    [ -e "$ZOOCFGDIR" ] || [ ! -e /etc/zookeeper/zoo.cfg ] || ZOOCFGDIR=/etc/zookeeper
fi
# shellcheck disable=SC1091
[ -f "$ZOOCFGDIR/zookeeper-env.sh" ] && . "$ZOOCFGDIR/zookeeper-env.sh"
ZOOCFG="$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}"
# shellcheck disable=SC1091
[ -f "$ZOOCFGDIR/java.env" ] && . "$ZOOCFGDIR/java.env"
ZOO_LOG_DIR="${ZOO_LOG_DIR:-$ZOOKEEPER_PREFIX/logs}"
export SERVER_JVMFLAGS CLIENT_JVMFLAGS JVMFLAGS
for name in OXKEEPER_LOG OXKEEPER_LOG_FORMAT; do
    [ -z "${!name:-}" ] || export "${name?}"
done

if [ -z "${OXKEEPER:-}" ]; then
    for OXKEEPER in "$ZOOBINDIR/oxkeeper" "$(type -p oxkeeper)" "$ZOOKEEPER_PREFIX"/target/{release,quick,debug}/oxkeeper; do
        [ -x "$OXKEEPER" ] && break
    done
fi
[ -x "$OXKEEPER" ] || { echo "Error: the program oxkeeper was not found; OXKEEPER may say where it is" >&2; exit 1; }

# setting KEY FILE: the value of a key of zoo.cfg, blanks around it left out.
setting() { grep -s "^[[:space:]]*$1[[:space:]]*=" "$2" | tail -n 1 | sed -e 's/^[^=]*=[[:space:]]*//' -e 's/[[:space:]]*$//'; }
