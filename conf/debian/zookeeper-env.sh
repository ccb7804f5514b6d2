# Sourced by the scripts in /usr/share/oxkeeper/bin; the systemd unit reads /etc/default/oxkeeper.
ZOO_LOG_DIR="${ZOO_LOG_DIR:-/var/log/zookeeper}"
