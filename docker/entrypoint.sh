#!/usr/bin/env bash
# Writes zoo.cfg and myid from the environment, as the entry point of the official zookeeper image does, then runs the
# command. A zoo.cfg or a myid that is there already stays as it is.
#
#   ZOO_MY_ID                        id of this member (default 1); `ordinal` takes it from the host name: zk-0 is member 1
#   ZOO_SERVERS                      members, blanks between them: "server.1=zoo1:2888:3888;2181 server.2=..."
#   ZOO_REPLICAS, ZOO_SERVICE        instead of ZOO_SERVERS, for a StatefulSet: so many members, named as this host is but
#                                    for the number, below this domain (default: the host's own)
#   ZOO_TICK_TIME 2000               ZOO_INIT_LIMIT 5               ZOO_SYNC_LIMIT 2
#   ZOO_MAX_CLIENT_CNXNS 60          ZOO_AUTOPURGE_PURGEINTERVAL 0  ZOO_AUTOPURGE_SNAPRETAINCOUNT 3
#   ZOO_STANDALONE_ENABLED true      ZOO_ADMINSERVER_ENABLED true   ZOO_4LW_COMMANDS_WHITELIST
#   ZOO_CFG_EXTRA                    more lines of zoo.cfg, blanks between them: "extendedTypesEnabled=true syncEnabled=false"
#   ZOO_CONF_DIR /conf, ZOO_DATA_DIR /data, ZOO_DATA_LOG_DIR /datalog, ZOO_LOG_DIR /logs
#   JVMFLAGS, SERVER_JVMFLAGS        their -D words are system properties; the rest is for a JVM and is ignored
#   OXKEEPER_LOG, OXKEEPER_LOG_FORMAT
#
# Runs as any user. On a read-only root file system /conf must be a volume (a tmpfs is enough), or /tmp one.
set -euo pipefail
# Values are split at blanks, but never taken for names of files: 4lw.commands.whitelist=*
set -f

export ZOO_CONF_DIR="${ZOO_CONF_DIR:-/conf}" ZOO_DATA_DIR="${ZOO_DATA_DIR:-/data}"
export ZOO_DATA_LOG_DIR="${ZOO_DATA_LOG_DIR:-/datalog}" ZOO_LOG_DIR="${ZOO_LOG_DIR:-/logs}"

# Started as root, as --user 0 does: the folders go to the user of the image, and so does the process.
if [ "${1:-}" = zkServer.sh ] && [ "$(id -u)" = 0 ] && id zookeeper >/dev/null 2>&1; then
    find "$ZOO_CONF_DIR" "$ZOO_DATA_DIR" "$ZOO_DATA_LOG_DIR" "$ZOO_LOG_DIR" \! -user zookeeper -exec chown zookeeper '{}' +
    exec setpriv --reuid=zookeeper --regid=zookeeper --clear-groups "$0" "$@"
fi

complain() {
    echo "entrypoint: $*" >&2
    exit 1
}

host="${HOSTNAME:-$(uname -n)}"
host="${host%%.*}"
ordinal=""
[[ $host =~ -([0-9]+)$ ]] && ordinal="${BASH_REMATCH[1]}"

if [ "${ZOO_MY_ID:-}" = ordinal ]; then
    [ -n "$ordinal" ] || complain "ZOO_MY_ID=ordinal needs a host name that ends with a number, and $host does not"
    ZOO_MY_ID=$((10#$ordinal + 1))
fi

# members: the server lines, one each line.
members() {
    local id domain
    if [ -n "${ZOO_SERVERS:-}" ]; then
        # shellcheck disable=SC2086
        printf '%s\n' $ZOO_SERVERS
    elif [ -n "${ZOO_REPLICAS:-}" ]; then
        [[ $ZOO_REPLICAS =~ ^[1-9][0-9]*$ ]] || complain "ZOO_REPLICAS=$ZOO_REPLICAS is no number of members"
        [ -n "$ordinal" ] || complain "ZOO_REPLICAS needs a host name that ends with a number, and $host does not"
        domain="${ZOO_SERVICE:-$(hostname -d 2>/dev/null || true)}"
        for ((id = 1; id <= ZOO_REPLICAS; id++)); do
            echo "server.$id=${host%-*}-$((id - 1))${domain:+.$domain}:2888:3888;2181"
        done
    else
        echo "server.1=localhost:2888:3888;2181"
    fi
}

# configuration: a whole zoo.cfg.
configuration() {
    cat <<CFG
dataDir=$ZOO_DATA_DIR
dataLogDir=$ZOO_DATA_LOG_DIR
tickTime=${ZOO_TICK_TIME:-2000}
initLimit=${ZOO_INIT_LIMIT:-5}
syncLimit=${ZOO_SYNC_LIMIT:-2}
autopurge.snapRetainCount=${ZOO_AUTOPURGE_SNAPRETAINCOUNT:-3}
autopurge.purgeInterval=${ZOO_AUTOPURGE_PURGEINTERVAL:-0}
maxClientCnxns=${ZOO_MAX_CLIENT_CNXNS:-60}
standaloneEnabled=${ZOO_STANDALONE_ENABLED:-true}
admin.enableServer=${ZOO_ADMINSERVER_ENABLED:-true}
CFG
    members
    [ -z "${ZOO_4LW_COMMANDS_WHITELIST:-}" ] || echo "4lw.commands.whitelist=$ZOO_4LW_COMMANDS_WHITELIST"
    # shellcheck disable=SC2086
    [ -z "${ZOO_CFG_EXTRA:-}" ] || printf '%s\n' $ZOO_CFG_EXTRA
}

if [ ! -f "$ZOO_CONF_DIR/zoo.cfg" ]; then
    if [ ! -w "$ZOO_CONF_DIR" ]; then
        # Nowhere but in memory, then; healthcheck.sh looks there too.
        ZOO_CONF_DIR="${TMPDIR:-/tmp}/conf"
        mkdir -p "$ZOO_CONF_DIR" 2>/dev/null || complain "zoo.cfg can be written neither to /conf nor to $ZOO_CONF_DIR: mount one of them"
        export ZOO_CONF_DIR
    fi
    text="$(configuration)"
    printf '%s\n' "$text" >"$ZOO_CONF_DIR/zoo.cfg"
fi
export ZOOCFGDIR="$ZOO_CONF_DIR"

if [ ! -f "$ZOO_DATA_DIR/myid" ]; then
    [ -w "$ZOO_DATA_DIR" ] || complain "$ZOO_DATA_DIR is not writable for user $(id -u)"
    echo "${ZOO_MY_ID:-1}" >"$ZOO_DATA_DIR/myid"
fi

exec "$@"
