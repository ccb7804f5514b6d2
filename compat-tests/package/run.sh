#!/usr/bin/env bash
# What is given out (scripts/release): the program with its debug information apart, the Debian package, installed into a
# small Debian and its server reached from outside, the list of parts, and with `run.sh static` the program that needs no
# library. Needs root; installs debootstrap and, from source, cargo-deb and cargo-cyclonedx.
. "$(dirname "$0")/../lib/common.sh"
HERE="$COMPAT/package"
begin package 2400
OXKEEPER="${OXKEEPER:-${SERVER_CMD%% *}}"
. "$COMPAT/image/base.sh"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
DIST="$CARGO_TARGET_DIR/dist"
# release PART...: as an operator would, of the program under test.
release() { (cd "$ROOT" && RELEASE_BINARY="$OXKEEPER" OXKEEPER_CACHE="$CACHE" limited 1800 scripts/release "$@") >"$WORK/release.log" 2>&1; }
why() { tail -n 3 "$WORK/release.log" | tr '\n' ' '; }

# 1. The program, and what was taken from it.
if release program; then
    pass package/program "$(stat -c %s "$DIST/oxkeeper") bytes"
    # Any function of ours: its name is in the program, its line beside it.
    symbol="$(nm --defined-only "$DIST/oxkeeper" | awk '/oxkeeper.*server.*serve|oxkeeper.*main/ {print $1; exit}')"
    line="$(addr2line -e "$DIST/oxkeeper" "0x$symbol")"
    [[ $line == *.rs:[0-9]* ]] && pass package/lines "${line##*/}" || fail package/lines "0x$symbol is $line"
    mkdir "$WORK/alone"; cp "$DIST/oxkeeper" "$WORK/alone"
    line="$(addr2line -e "$WORK/alone/oxkeeper" "0x$symbol")"
    [[ $line == \?\?* ]] && pass package/no-lines-without || fail package/no-lines-without "$line"
else
    fail package/program "$(why)"
fi

# 2. The parts.
if release sbom; then
    python3 "$HERE/sbom.py" "$DIST/oxkeeper.cdx.json" "$ROOT" >"$WORK/sbom.log" 2>&1 && pass package/sbom "$(tail -n 1 "$WORK/sbom.log")" || fail package/sbom "$(tail -n 1 "$WORK/sbom.log")"
else
    fail package/sbom "$(why)"
fi

# 3. The Debian package.
# deb: made, installed, used, removed.
deb() {
    local file tree="$WORK/debian" port member
    release deb || { fail package/deb "$(why)"; return; }
    file="$(ls "$DIST"/*.deb)"
    dpkg-deb --info "$file" >"$WORK/info" && dpkg-deb --contents "$file" | awk '{print $1, $2, $6}' >"$WORK/contents" || { fail package/deb "dpkg-deb cannot read it"; return; }
    pass package/deb "$(stat -c %s "$file") bytes"
    sed "s#^\(Version: \).*#\1VERSION#" "$WORK/info" | grep -E '^ (Package|Depends|Section|Architecture):' >"$WORK/fields"
    grep -q 'Depends:.*libc6' "$WORK/fields" && pass package/depends || fail package/depends "$(cat "$WORK/fields")"
    awk '{print $1, $3}' "$WORK/contents" | grep -v '/$' | sed 's#man1/oxkeeper.1.gz#man1/oxkeeper.1#' | sort -k2 >"$WORK/files"
    diff "$HERE/files.txt" "$WORK/files" >&2 && pass package/files "$(wc -l <"$WORK/files")" || fail package/files "they are others"

    [ "$(id -u)" = 0 ] || { skip package/install "needs root: it changes its root"; return; }
    debian_tools debootstrap && debian_base || { fail package/install "$(cat "$WORK/why")"; return; }
    cp -a "$BASE" "$tree" && cp "$file" "$tree/oxkeeper.deb"
    [ -e "$tree/etc/hosts" ] || echo "127.0.0.1 localhost" >"$tree/etc/hosts"
    if ! chroot "$tree" dpkg -i /oxkeeper.deb >"$WORK/dpkg.log" 2>&1; then fail package/install "$(tail -n 2 "$WORK/dpkg.log")"; return; fi
    grep -q "not started by itself" "$WORK/dpkg.log" && pass package/install || fail package/install "$(cat "$WORK/dpkg.log")"
    [ "$(stat -c '%a' "$tree/var/lib/zookeeper")" = 750 ] && [ "$(chroot "$tree" stat -c %U:%G /var/lib/zookeeper)" = zookeeper:zookeeper ] &&
        pass package/user || fail package/user "$(chroot "$tree" stat -c '%U:%G %a' /var/lib/zookeeper)"
    [ ! -e "$tree/etc/systemd/system/multi-user.target.wants/oxkeeper.service" ] && pass package/not-enabled || fail package/not-enabled "it is"

    # As the unit starts it: its command, its user.
    port="$(free_ports 3)"
    sed -i "s/^clientPort=.*/clientPort=$port\nadmin.enableServer=false/" "$tree/etc/zookeeper/zoo.cfg"
    command="$(sed -n 's/^ExecStart=//p' "$tree"/*lib/systemd/system/oxkeeper.service "$tree"/usr/lib/systemd/system/oxkeeper.service 2>/dev/null | head -n 1)"
    cat >"$WORK/contain" <<'CONTAIN'
set -e
tree="$1"; shift
mount --make-rprivate /
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
exec chroot --userspec=zookeeper:zookeeper "$tree" /usr/bin/env -i PATH=/usr/bin:/bin "$@"
CONTAIN
    # shellcheck disable=SC2086
    spawn "$WORK/server.log" unshare --mount bash "$WORK/contain" "$tree" $command
    if python3 "$LIB/probe.py" "$port" 30 "$SPAWNED" >/dev/null 2>&1; then
        "$OXKEEPER" cli -q -server "127.0.0.1:$port" create /package x >/dev/null 2>&1 && [ "$("$OXKEEPER" cli -q -server "127.0.0.1:$port" get /package)" = x ] &&
            pass package/server || fail package/server "a client is not served"
        answer="$(nsenter --mount -t "$SPAWNED" chroot --userspec=zookeeper "$tree" /usr/bin/env -i PATH=/usr/bin:/bin /usr/share/oxkeeper/bin/zkServer.sh status 2>&1)"
        grep -q "Using config: /etc/zookeeper/zoo.cfg" <<<"$answer" && grep -q "^Mode: standalone" <<<"$answer" && pass package/status || fail package/status "$answer"
        [ -n "$(ls "$tree"/var/lib/zookeeper/version-2/log.* 2>/dev/null)" ] && pass package/data || fail package/data "no log in /var/lib/zookeeper"
        end_process "$SPAWNED"
    else
        fail package/server "$(tail -n 3 "$WORK/server.log")"
    fi
    # Changed configuration and data outlive what comes and goes.
    chroot "$tree" dpkg -i --force-confold /oxkeeper.deb >"$WORK/again.log" 2>&1 && grep -q "clientPort=$port" "$tree/etc/zookeeper/zoo.cfg" &&
        pass package/again || fail package/again "$(tail -n 2 "$WORK/again.log")"
    chroot "$tree" dpkg -r oxkeeper >"$WORK/remove.log" 2>&1 && [ ! -e "$tree/usr/bin/oxkeeper" ] && [ -e "$tree/etc/zookeeper/zoo.cfg" ] &&
        pass package/remove || fail package/remove "$(tail -n 2 "$WORK/remove.log")"
    chroot "$tree" dpkg -P oxkeeper >"$WORK/purge.log" 2>&1 && [ ! -e "$tree/etc/zookeeper" ] && [ -e "$tree/var/lib/zookeeper/version-2" ] &&
        pass package/purge || fail package/purge "$(tail -n 2 "$WORK/purge.log"; ls "$tree/etc/zookeeper")"
}
deb
if command -v man >/dev/null; then
    out="$(LC_ALL=C.UTF-8 MANWIDTH=100 man --warnings -l "$ROOT/conf/oxkeeper.1" 2>&1 >"$WORK/man")"
    [ -z "$out" ] && grep -q zoo.cfg "$WORK/man" && pass package/man || fail package/man "$out"
else
    skip package/man "there is no man here"
fi

# 4. Without any library.
[ "${1:-}" = static ] || exit
if ! { command -v musl-gcc >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends musl-tools; } >"$WORK/apt.log" 2>&1; }; then
    fail package/static "$(tail -n 1 "$WORK/apt.log")"
elif release static; then
    static="$DIST/oxkeeper-static"
    ldd "$static" 2>&1 | grep -q -e 'statically linked' -e 'not a dynamic' && pass package/static "$(stat -c %s "$static") bytes" || fail package/static "$(ldd "$static")"
    # In a root where nothing else is.
    port="$(free_ports 3)"
    mkdir -p "$WORK/bare/tmp" && cp "$static" "$WORK/bare/oxkeeper"
    spawn "$WORK/static.log" chroot "$WORK/bare" /oxkeeper server "$port" /tmp/data
    if python3 "$LIB/probe.py" "$port" 30 "$SPAWNED" >/dev/null 2>&1; then
        (cd "$WORK" && "$static" cli -q -server "localhost:$port" create /static x >/dev/null 2>&1) && pass package/static-server || fail package/static-server "a client is not served"
        end_process "$SPAWNED"
    else
        fail package/static-server "$(tail -n 2 "$WORK/static.log")"
    fi
else
    fail package/static "$(why)"
fi
