#!/usr/bin/env bash
# Shows, mends and cuts transaction logs, with the options of the original's toolkit. `oxkeeper txnlog` does more.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"

help() {
    cat <<'TEXT'
usage: TxnLogToolkit [-dhrvc] <txn_log_file_name> (-z <zxid>)
 -c,--chop         Chop mode. Chop txn file to a zxid.
 -d,--dump         Dump mode. Dump all entries of the log file with printing the content of a nodepath (default)
 -h,--help         Print help message
 -r,--recover      Recovery mode. Re-calculate CRC for broken entries.
 -v,--verbose      Be verbose in recovery mode: print all entries, not just fixed ones.
 -y,--yes          Non-interactive mode: repair all CRC errors without asking
 -z,--zxid <arg>   Used with chop. Zxid to which to chop.
TEXT
    exit "$1"
}

mode=dump zxid="" file="" options=()
while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) help 0 ;;
        -d | --dump) ;;
        -r | --recover) mode=recover ;;
        -c | --chop) mode=chop ;;
        -v | --verbose) options+=(-v) ;;
        -y | --yes) options+=(-y) ;;
        -z | --zxid) zxid="${2:-}"; shift ;;
        --zxid=*) zxid="${1#*=}" ;;
        -[dhrvyc][dhrvyc]*) # Several in one word.
            first="${1:0:2}" rest="-${1:2}"
            set -- "$first" "$rest" "${@:2}"
            continue
            ;;
        -*) echo "Unrecognized option: $1" >&2; help 1 ;;
        *) file="${file:-$1}" ;;
    esac
    shift
done
[ -n "$file" ] || help 1
case "$mode" in
    dump) exec "$OXKEEPER" txnlog dump "$file" ;;
    recover) exec "$OXKEEPER" txnlog recover "${options[@]}" "$file" ;;
    chop)
        [ -n "$zxid" ] || help 1
        exec "$OXKEEPER" txnlog chop "$file" -z "$zxid"
        ;;
esac
