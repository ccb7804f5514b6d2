#!/usr/bin/env bash
# docker/ without Docker: the entry point writes what the official image would write, and a server comes up behind it;
# manifests are what Kubernetes' schemas say; the systemd unit is one. `run.sh build` makes the image with buildah, runs it
# with a read-only root and as its own user, and a client talks to it (needs root; installs buildah and debootstrap).
# `run.sh compile` does the same with a program that the Dockerfile compiles.
. "$(dirname "$0")/../lib/common.sh"
HERE="$COMPAT/image"
MODE="${1:-}"
case "$MODE" in build) limit=900 ;; compile) limit=3600 ;; *) limit=180 ;; esac
begin image $limit
export OXKEEPER="${OXKEEPER:-${SERVER_CMD%% *}}"
DOCKER="$ROOT/docker"
for name in $(compgen -e | grep '^ZOO'); do unset "$name"; done

# entry NAME=VALUE... -- COMMAND...: the entry point with folders in $WORK/box and such an environment;
# EXEC=exec puts it in the place of its shell.
entry() {
    local settings=()
    while [ "$1" != -- ]; do settings+=("$1"); shift; done
    shift
    ${EXEC:-} env HOSTNAME=localhost TMPDIR="$WORK/box/tmp" ZOO_CONF_DIR="$WORK/box/conf" ZOO_DATA_DIR="$WORK/box/data" \
        ZOO_DATA_LOG_DIR="$WORK/box/datalog" ZOO_LOG_DIR="$WORK/box/logs" PATH="$ROOT/scripts:$DOCKER:$PATH" \
        "${settings[@]}" "$DOCKER/entrypoint.sh" "$@" 8>&-
}
fresh() { rm -rf "$WORK/box"; mkdir -p "$WORK"/box/{conf,data,datalog,logs,tmp}; }
# expect NAME TEXT: the configuration and the id that the last entry has written.
expect() {
    local found
    found="$(sed "s#$WORK/box##" "$WORK/box/conf/zoo.cfg" 2>/dev/null; echo "myid=$(cat "$WORK/box/data/myid" 2>/dev/null)")"
    if diff <(printf '%s\n' "$2") <(printf '%s\n' "$found") >"$WORK/diff"; then pass "image/$1"; else
        cat "$WORK/diff" >&2
        fail "image/$1" "the configuration is another one"
    fi
}

# 1. The configuration that the official image writes.
defaults='dataDir=/data
dataLogDir=/datalog
tickTime=2000
initLimit=5
syncLimit=2
autopurge.snapRetainCount=3
autopurge.purgeInterval=0
maxClientCnxns=60
standaloneEnabled=true
admin.enableServer=true'
fresh; entry -- true
expect defaults "$defaults
server.1=localhost:2888:3888;2181
myid=1"
fresh
entry ZOO_MY_ID=2 ZOO_SERVERS="server.1=a:2888:3888;2181 server.2=b:2888:3888;2181" ZOO_TICK_TIME=500 ZOO_INIT_LIMIT=10 \
    ZOO_SYNC_LIMIT=4 ZOO_MAX_CLIENT_CNXNS=0 ZOO_AUTOPURGE_PURGEINTERVAL=6 ZOO_AUTOPURGE_SNAPRETAINCOUNT=9 \
    ZOO_STANDALONE_ENABLED=false ZOO_ADMINSERVER_ENABLED=false ZOO_4LW_COMMANDS_WHITELIST='*' \
    ZOO_CFG_EXTRA="extendedTypesEnabled=true snapshot.compression.method=gz" -- true
all='dataDir=/data
dataLogDir=/datalog
tickTime=500
initLimit=10
syncLimit=4
autopurge.snapRetainCount=9
autopurge.purgeInterval=6
maxClientCnxns=0
standaloneEnabled=false
admin.enableServer=false
server.1=a:2888:3888;2181
server.2=b:2888:3888;2181
4lw.commands.whitelist=*
extendedTypesEnabled=true
snapshot.compression.method=gz
myid=2'
expect all-variables "$all"
entry ZOO_MY_ID=3 ZOO_TICK_TIME=1 -- true
expect what-is-there-stays "$all"
fresh
entry HOSTNAME=zk-2.zk.svc.cluster.local ZOO_MY_ID=ordinal ZOO_REPLICAS=3 ZOO_SERVICE=zk -- true
expect stateful-set "$defaults
server.1=zk-0.zk:2888:3888;2181
server.2=zk-1.zk:2888:3888;2181
server.3=zk-2.zk:2888:3888;2181
myid=3"
fresh
if entry ZOO_MY_ID=ordinal -- true 2>"$WORK/err"; then fail image/no-ordinal "is taken"; else
    grep -q "needs a host name that ends with a number" "$WORK/err" && [ ! -e "$WORK/box/data/myid" ] && pass image/no-ordinal || fail image/no-ordinal "$(cat "$WORK/err")"
fi

# 2. A server behind it; /conf cannot be written, as on a read-only root without a volume there.
fresh
ports="$(free_ports 3)"
member="server.1=127.0.0.1:$((ports + 1)):$((ports + 2));127.0.0.1:$ports"
settings=(ZOO_CONF_DIR="$WORK/nowhere" ZOO_SERVERS="$member" ZOO_ADMINSERVER_ENABLED=false JVMFLAGS=-Djute.maxbuffer=2000000)
EXEC=exec spawn "$WORK/server.log" entry "${settings[@]}" -- zkServer.sh start-foreground
inside() { env ZOO_CONF_DIR="$WORK/nowhere" TMPDIR="$WORK/box/tmp" PATH="$ROOT/scripts:$DOCKER:$(dirname "$OXKEEPER"):$PATH" "$@"; }
if python3 "$LIB/probe.py" "$ports" 30 "$SPAWNED" >/dev/null 2>&1; then
    [ "$(inside healthcheck.sh; echo $?)" = 0 ] && pass image/healthy || fail image/healthy "$(inside healthcheck.sh 2>&1)"
    "$OXKEEPER" cli -q -server "127.0.0.1:$ports" create /a x 2>/dev/null && pass image/client || fail image/client "no node"
    end_process "$SPAWNED"
    inside healthcheck.sh >/dev/null 2>&1 && fail image/unhealthy "nobody serves" || pass image/unhealthy
    inside healthcheck.sh alive >/dev/null 2>&1 && fail image/not-alive "nobody answers" || pass image/not-alive
else
    tail -5 "$WORK/server.log" >&2
    fail image/server "does not come up"
fi
# One of two members without the other: alive, not ready.
fresh
entry ZOO_SERVERS="$member server.2=127.0.0.1:1:2;3" ZOO_ADMINSERVER_ENABLED=false -- true
EXEC=exec spawn "$WORK/member.log" entry -- zkServer.sh start-foreground
lone() { env ZOO_CONF_DIR="$WORK/box/conf" PATH="$ROOT/scripts:$DOCKER:$(dirname "$OXKEEPER"):$PATH" healthcheck.sh "$@" >/dev/null 2>&1; }
for _ in $(seq 100); do lone alive && break; sleep 0.1; done
if lone alive && ! lone; then pass image/alive-but-not-ready; else fail image/alive-but-not-ready "$(tail -n 3 "$WORK/member.log")"; fi
end_process "$SPAWNED"

# 3. Manifests.
if [ ! -x "$CACHE/image-venv/bin/kubernetes-validate" ]; then
    note "installing kubernetes-validate, which brings the schemas"
    python3 -m venv "$CACHE/image-venv" && "$CACHE/image-venv/bin/pip" install -q 'kubernetes-validate==1.37.0' >"$WORK/pip.log" 2>&1
fi
if [ -x "$CACHE/image-venv/bin/kubernetes-validate" ]; then
    "$CACHE/image-venv/bin/python" "$CACHE/image-venv/bin/kubernetes-validate" --strict "$DOCKER"/kubernetes/*.yaml >"$WORK/k8s.log" 2>&1 &&
        pass image/kubernetes || { tail -20 "$WORK/k8s.log" >&2; fail image/kubernetes "see above"; }
    "$CACHE/image-venv/bin/python" "$HERE/manifests.py" "$DOCKER" >"$WORK/manifests.log" 2>&1 &&
        pass image/manifests || fail image/manifests "$(tail -n 1 "$WORK/manifests.log")"
else
    fail image/kubernetes "$(tail -n 1 "$WORK/pip.log")"
fi
if command -v systemd-analyze >/dev/null; then
    sed "s#/usr/bin/oxkeeper#$OXKEEPER#" "$ROOT/conf/oxkeeper.service" >"$WORK/oxkeeper.service"
    out="$(systemd-analyze verify "$WORK/oxkeeper.service" 2>&1)"
    [ -z "$out" ] && pass image/systemd || fail image/systemd "$out"
else
    skip image/systemd "there is no systemd-analyze here"
fi
case "$MODE" in build | compile) . "$HERE/build.sh" ;; esac
