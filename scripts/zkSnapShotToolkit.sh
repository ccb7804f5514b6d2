#!/usr/bin/env bash
# Shows a snapshot: zkSnapShotToolkit.sh [-d|-json] FILE. `oxkeeper snapshot` does more.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"

data=() json=0 file=""
for word in "$@"; do
    case "$word" in
        -d) data=(-d) ;;
        -json) json=1 ;;
        *) file="$word" ;;
    esac
done
if [ -z "$file" ]; then
    cat >&2 <<'TEXT'
USAGE: SnapshotFormatter [-d|-json] snapshot_file
       -d dump the data for each znode
       -json dump znode info in json format
TEXT
    exit 2
fi
[ $json = 0 ] || exec "$OXKEEPER" snapshot json "$file"
exec "$OXKEEPER" snapshot dump "${data[@]}" "$file"
