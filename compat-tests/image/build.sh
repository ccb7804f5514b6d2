# Sourced by run.sh: the image, built and run without a Docker engine. A Debian tree is the base, since no registry of images
# may be reached; the program is the one under test.
IMAGE_TOOLS=(buildah debootstrap)
[ "$(id -u)" = 0 ] || { skip image/build "needs root: it mounts and changes its root"; return 0; }
for tool in "${IMAGE_TOOLS[@]}"; do
    command -v "$tool" >/dev/null && continue
    note "installing ${IMAGE_TOOLS[*]}"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${IMAGE_TOOLS[@]}"; } >"$WORK/apt.log" 2>&1 ||
        { fail image/build "$(tail -n 1 "$WORK/apt.log")"; return 0; }
    break
done

# The program was linked on this machine, so the base is the same release of Debian.
RELEASE="$(. /etc/os-release && echo "$VERSION_CODENAME")"
BASE="$CACHE/image-base-$RELEASE"
MIRROR="$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')"
if [ ! -e "$BASE/.done" ]; then
    note "bootstrapping Debian $RELEASE"
    rm -rf "$BASE"
    limited 600 debootstrap --variant=minbase "$RELEASE" "$BASE" ${MIRROR:+"$MIRROR"} >"$WORK/debootstrap.log" 2>&1 ||
        { fail image/build "$(tail -n 1 "$WORK/debootstrap.log")"; return 0; }
    rm -rf "$BASE"/var/cache/apt/archives/*.deb "$BASE"/var/lib/apt/lists/*
    touch "$BASE/.done"
fi

STORAGE="$WORK/storage"
buildah_() { buildah --storage-driver=vfs --root "$STORAGE" --runroot "$WORK/run" "$@"; }
mkdir -p "$WORK/context/target/release"
(cd "$ROOT" && cp -r docker scripts conf LICENSE .dockerignore "$WORK/context/")
strip -o "$WORK/context/target/release/oxkeeper" "$OXKEEPER" 2>/dev/null || cp "$OXKEEPER" "$WORK/context/target/release/oxkeeper"

build_image() {
    local base
    base="$(buildah_ from scratch)" && buildah_ add -q "$base" "$BASE" / && buildah_ commit -q "$base" base && buildah_ rm "$base" &&
        buildah_ bud --isolation=chroot --build-arg BINARY=prebuilt --build-arg RUNTIME_IMAGE=localhost/base \
            -f "$WORK/context/docker/Dockerfile" -t oxkeeper "$WORK/context"
}
if ! build_image >"$WORK/build.log" 2>&1; then
    tail -20 "$WORK/build.log" >&2
    fail image/build "see above"
    return 0
fi
image="$(buildah_ from oxkeeper)"
tree="$(buildah_ mount "$image")"
pass image/build "$(du -sm "$tree" | cut -f1) MB, $(du -sm "$tree/oxkeeper/bin/oxkeeper" | cut -f1) MB of it the program"
said="$(buildah_ inspect --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}} {{.OCIv1.Config.Volumes}}' "$image")"
[ "$said" = "1000:1000 [entrypoint.sh] [zkServer.sh start-foreground] map[/data:{} /datalog:{} /logs:{}]" ] &&
    pass image/config || fail image/config "$said"

# As a container runtime would: the image's tree read-only, volumes for the data, a tmpfs for /conf and /tmp, its user.
port="$(free_ports 3)"
mkdir -p "$WORK/volumes"/{data,datalog}
chown 1000:1000 "$WORK/volumes"/*
cat >"$WORK/contain" <<'CONTAIN'
set -e
tree="$1" volumes="$2"; shift 2
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
for folder in data datalog; do mount --bind "$volumes/$folder" "$tree/$folder"; done
for folder in conf tmp; do mount -t tmpfs -o mode=1777 tmpfs "$tree/$folder"; done
mount -o remount,bind,ro "$tree"
exec chroot --userspec=1000:1000 "$tree" /usr/bin/env -i HOME=/data HOSTNAME=box PATH=/oxkeeper/bin:/usr/bin:/bin ZOOCFGDIR=/conf "$@"
CONTAIN
spawn "$WORK/contained.log" unshare --mount bash "$WORK/contain" "$tree" "$WORK/volumes" ZOO_ADMINSERVER_ENABLED=false \
    ZOO_SERVERS="server.1=127.0.0.1:$((port + 1)):$((port + 2));127.0.0.1:$port" entrypoint.sh zkServer.sh start-foreground
if python3 "$LIB/probe.py" "$port" 60 "$SPAWNED" >/dev/null 2>&1; then
    owner="$(ps -o uid= -p "$SPAWNED" | tr -d ' ')"
    [ "$owner" = 1000 ] && pass image/user || fail image/user "runs as $owner"
    "$OXKEEPER" cli -q -server "127.0.0.1:$port" create /image x 2>/dev/null && [ "$("$OXKEEPER" cli -q -server "127.0.0.1:$port" get /image)" = x ] &&
        pass image/run || fail image/run "a client is not served"
    nsenter --mount -t "$SPAWNED" chroot --userspec=1000:1000 "$tree" /usr/bin/env -i PATH=/oxkeeper/bin:/usr/bin:/bin healthcheck.sh &&
        pass image/healthcheck || fail image/healthcheck "says it is not healthy"
    nsenter --mount -t "$SPAWNED" touch "$tree/etc/x" 2>/dev/null && fail image/read-only "the root can be written" || pass image/read-only
    end_process "$SPAWNED"
    ls "$WORK/volumes/datalog/version-2"/log.* >/dev/null 2>&1 && pass image/volumes || fail image/volumes "no log in /datalog"
else
    tail -5 "$WORK/contained.log" >&2
    fail image/run "nobody serves"
fi
buildah_ umount "$image" >/dev/null
