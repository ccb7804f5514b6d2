# A small Debian as a folder, since no registry of images may be reached. Sourced; needs root.

# debian_tools NAME...: programs that are packages of the same name. What fails is said in $WORK/why.
debian_tools() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null && continue
        note "installing $*"
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$WORK/apt.log" 2>&1 && return
        tail -n 1 "$WORK/apt.log" >"$WORK/why"
        return 1
    done
}

# debian_base: the folder is in $BASE, made once. Programs that were linked on this machine run in it: it is the same
# release.
debian_base() {
    local release mirror
    release="$(. /etc/os-release && echo "$VERSION_CODENAME")"
    mirror="$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')"
    BASE="$CACHE/image-base-$release"
    (
        flock 9
        [ ! -e "$BASE/.done" ] || exit 0
        note "bootstrapping Debian $release"
        rm -rf "$BASE"
        timeout -k 5 600 debootstrap --variant=minbase "$release" "$BASE" ${mirror:+"$mirror"} >"$WORK/debootstrap.log" 2>&1 ||
            { tail -n 1 "$WORK/debootstrap.log" >"$WORK/why"; exit 1; }
        rm -rf "$BASE"/var/cache/apt/archives/*.deb "$BASE"/var/lib/apt/lists/*
        touch "$BASE/.done"
    ) 9>"$BASE.lock"
}
