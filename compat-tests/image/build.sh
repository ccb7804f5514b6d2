# Sourced by run.sh: the image, built and run without a Docker engine. A Debian tree is the base, since no registry of images
# may be reached; the program is the one under test, or with MODE=compile one that the Dockerfile's build stage compiles.
[ "$(id -u)" = 0 ] || { skip image/build "needs root: it mounts and changes its root"; return 0; }
. "$HERE/base.sh"
debian_tools buildah debootstrap && debian_base || { fail image/build "$(cat "$WORK/why")"; return 0; }

STORAGE="$WORK/storage"
buildah_() { buildah --storage-driver=vfs --root "$STORAGE" --runroot "$WORK/run" "$@"; }
# image NAME TREE: a folder as an image.
image() {
    local container
    container="$(buildah_ from scratch)" && buildah_ add -q "$container" "$2" / && buildah_ commit -q "$container" "$1" && buildah_ rm "$container"
}
# rust_tree: the base with a compiler, and this machine's Rust, in $RUST.
rust_tree() {
    local root
    root="$(rustc --print sysroot)" || return 1
    RUST="$WORK/rust"
    cp -a "$BASE" "$RUST" && cp /etc/resolv.conf "$RUST/etc/resolv.conf" || return 1
    chroot "$RUST" sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends gcc libc6-dev make ca-certificates' &&
        rm -rf "$RUST"/var/cache/apt/archives/*.deb "$RUST"/var/lib/apt/lists/* || return 1
    mkdir -p "$RUST/usr/local" && cp -a "$root/bin" "$root/lib" "$RUST/usr/local/"
}
arguments=(--build-arg RUNTIME_IMAGE=localhost/base)
mkdir -p "$WORK/context"
(cd "$ROOT" && cp -r docker scripts conf LICENSE .dockerignore "$WORK/context/")
if [ "$MODE" = compile ]; then
    note "making an image with Rust"
    { rust_tree && image rust "$RUST" && rm -rf "$RUST"; } >"$WORK/rust.log" 2>&1 || { fail image/rust "$(tail -n 1 "$WORK/rust.log")"; return 0; }
    (cd "$ROOT" && cp -r Cargo.toml Cargo.lock build.rs rustfmt.toml clippy.toml src compat-tests "$WORK/context/")
    # The crates are there already; what is missing is fetched.
    mkdir -p "${CARGO_HOME:-$HOME/.cargo}/registry"
    arguments+=(--build-arg BINARY=source --build-arg BUILD_IMAGE=localhost/rust --build-arg PROFILE=quick --build-arg OXKEEPER_REVISION=compiled-in-the-image
        --volume "${CARGO_HOME:-$HOME/.cargo}/registry:/root/.cargo/registry")
    note "compiling"
else
    mkdir -p "$WORK/context/target/release"
    strip -o "$WORK/context/target/release/oxkeeper" "$OXKEEPER" 2>/dev/null || cp "$OXKEEPER" "$WORK/context/target/release/oxkeeper"
    arguments+=(--build-arg BINARY=prebuilt)
fi

build_image() {
    image base "$BASE" &&
        buildah_ bud --isolation=chroot "${arguments[@]}" -f "$WORK/context/docker/Dockerfile" -t oxkeeper "$WORK/context"
}
if ! build_image >"$WORK/build.log" 2>&1; then
    tail -20 "$WORK/build.log" >&2
    fail image/build "see above"
    return 0
fi
image="$(buildah_ from oxkeeper)"
tree="$(buildah_ mount "$image")"
if [ "$MODE" = compile ]; then
    said="$(chroot "$tree" /oxkeeper/bin/oxkeeper version zookeeper 2>&1)"
    [[ $said == "Apache ZooKeeper, version 3.9.5"* ]] && pass image/compile "$said" || fail image/compile "$said"
fi
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
