#!/usr/bin/env bash
# Removes snapshots and logs that no recovery needs: zkCleanup.sh -n COUNT (at least 3). The folders are those of zoo.cfg;
# where there is none, they come first: zkCleanup.sh dataLogDir [snapDir] -n COUNT.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"

usage() {
    echo "Usage:"
    echo "PurgeTxnLog dataLogDir [snapDir] -n count"
    printf '\tdataLogDir -- path to the txn log directory\n'
    printf '\tsnapDir -- path to the snapshot directory\n'
    printf '\tcount -- the number of old snaps/logs you want to keep, value should be greater than or equal to 3\n'
    exit 1
}

folders=()
data_dir="$(setting dataDir "$ZOOCFG")" data_log_dir="$(setting dataLogDir "$ZOOCFG")"
[ -z "$data_log_dir" ] || folders+=("$data_log_dir")
[ -z "$data_dir" ] || folders+=("$data_dir")
words=("${folders[@]}" "$@")
# As the original takes it: one or two folders, then the count behind -n, and nothing else.
count=$((${#words[@]} - 2))
{ [ $count = 1 ] || [ $count = 2 ]; } && [ "${words[count]}" = -n ] || usage
if ! [[ ${words[count + 1]} =~ ^[0-9]+$ ]] || [ "${words[count + 1]}" -lt 3 ]; then
    echo "count should be greater than or equal to 3" >&2
    usage
fi
exec "$OXKEEPER" purge "${words[@]}"
