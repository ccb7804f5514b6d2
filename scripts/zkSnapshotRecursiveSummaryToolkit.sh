#!/usr/bin/env bash
# Children and bytes of each subtree of a snapshot: zkSnapshotRecursiveSummaryToolkit.sh FILE NODE DEPTH.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"

if [ $# != 3 ]; then
    cat <<'TEXT'
USAGE:


SnapshotRecursiveSummary  <snapshot_file>  <starting_node>  <max_depth>


snapshot_file:    path to the zookeeper snapshot
starting_node:    the path in the zookeeper tree where the traversal should begin
max_depth:        defines the depth where the tool still writes to the output. 0 means there is no depth limit, every non-leaf node's stats will be displayed, 1 means it will only contain the starting node's and it's children's stats, 2 ads another level and so on. This ONLY affects the level of details displayed, NOT the calculation.
TEXT
    exit 2
fi
exec "$OXKEEPER" snapshot stats "$@"
