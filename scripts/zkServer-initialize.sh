#!/usr/bin/env bash
# Makes the folders of a new server: version-2, myid, and the marker `initialize`.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"

usage() {
    printf "usage: $0 <parameters>
  Optional parameters:
     -h                                                    Display this message
     --help                                                Display this message
     --configfile=%-40s ZooKeeper config file
     --myid=#                                              Set the myid to be used, if any (1-255)
     --force                                               Force creation of the data/txnlog dirs
" "$ZOOCFG"
    exit 1
}

myid=() force=()
while [ -n "${1:-}" ]; do
    case "$1" in
        --configfile) ZOOCFG="${2:-}"; shift ;;
        --configfile=?*) ZOOCFG="${1#*=}" ;;
        --myid) myid=(--myid "${2:-}"); shift ;;
        --myid=?*) myid=(--myid "${1#*=}") ;;
        --force) force=(--force) ;;
        -h | --help) usage ;;
        *) echo "Unknown option: $1"; usage ;;
    esac
    shift
done

[ -e "$ZOOCFG" ] || { echo "Unable to find config file at $ZOOCFG"; exit 1; }
data_dir="$(setting dataDir "$ZOOCFG")" data_log_dir="$(setting dataLogDir "$ZOOCFG")"
[ -n "$data_dir" ] || { echo "Unable to determine dataDir from $ZOOCFG"; exit 1; }
if [ ${#force[@]} -gt 0 ]; then
    echo "Force enabled, data/txnlog directories will be re-initialized"
elif [ -d "$data_dir/version-2" ]; then
    echo "ZooKeeper data directory already exists at $data_dir (or use --force to force re-initialization)"
    exit 1
elif [ -n "$data_log_dir" ] && [ -d "$data_log_dir/version-2" ]; then
    echo "ZooKeeper txnlog directory already exists at $data_log_dir (or use --force to force re-initialization)"
    exit 1
fi
"$OXKEEPER" init --configfile "$ZOOCFG" "${myid[@]}" "${force[@]}" || exit
# A new beginning without a number has none, as in the original.
if [ ${#force[@]} -gt 0 ] && [ ${#myid[@]} = 0 ]; then rm -f "$data_dir/myid"; fi
