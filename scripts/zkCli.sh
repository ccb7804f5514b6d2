#!/usr/bin/env bash
# ZooKeeper's shell: zkCli.sh [-server host:port[/chroot]] [command], see `oxkeeper cli --help`.
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/zkEnv.sh"
exec "$OXKEEPER" cli "$@"
