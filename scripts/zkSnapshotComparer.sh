#!/usr/bin/env bash
# Compares two snapshots by the size of their subtrees: zkSnapshotComparer.sh -l LEFT -r RIGHT -b BYTES -n NODES [-d].
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"

usage() {
    cat <<'TEXT'
usage: java -cp <classPath> org.apache.zookeeper.server.SnapshotComparer
 -b,--bytes <BYTETHRESHOLD>   (Required) The node data delta size threshold, in bytes, for printing the node.
 -d,--debug                   Use debug output.
 -i,--interactive             Enter interactive mode.
 -l,--left <LEFT>             (Required) The left snapshot file.
 -n,--nodes <NODETHRESHOLD>   (Required) The descendant node delta size threshold, in nodes, for printing the node.
 -r,--right <RIGHT>           (Required) The right snapshot file.
TEXT
    exit 2
}

left="" right="" bytes="" nodes="" words=()
while [ $# -gt 0 ]; do
    case "$1" in
        -l | --left) left="${2:-}"; words+=(-l "$left"); shift ;;
        -r | --right) right="${2:-}"; words+=(-r "$right"); shift ;;
        -b | --bytes) bytes="${2:-}"; words+=(-b "$bytes"); shift ;;
        -n | --nodes) nodes="${2:-}"; words+=(-n "$nodes"); shift ;;
        -d | --debug) words+=(-d) ;;
        -i | --interactive) words+=(-i) ;;
        *) echo "Unrecognized option: $1" >&2; usage ;;
    esac
    shift
done
missing=()
[ -n "$left" ] || missing+=(l)
[ -n "$right" ] || missing+=(r)
[ -n "$bytes" ] || missing+=(b)
[ -n "$nodes" ] || missing+=(n)
if [ ${#missing[@]} -gt 0 ]; then
    list="$(IFS=,; echo "${missing[*]}")"
    [ ${#missing[@]} = 1 ] && echo "Missing required option: $list" >&2 || echo "Missing required options: ${list//,/, }" >&2
    usage
fi
exec "$OXKEEPER" snapshot compare "${words[@]}"
