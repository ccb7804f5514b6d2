#!/usr/bin/env bash
# Kafka 3.9 in ZooKeeper mode (its client is ZooKeeper 3.8.4) against the server under test: two brokers, 10,000 messages,
# administration of every kind, the controller killed and stopped. The steps are in KafkaSteps.java.
. "$(dirname "$0")/../lib/common.sh"
. "$LIB/server.sh"
begin kafka 480
resolve kafka || give_up "the jars could not be resolved"
resolve zookeeper || give_up "the jars could not be resolved"
compile kafka "$COMPAT/kafka" || give_up "KafkaSteps does not compile"
start_server
CHROOT="/kafka-$$-$(date +%s)"
ZK="$ZK_CONNECT$CHROOT"
PORT="$(free_ports 4)"
PLAIN="127.0.0.1:$PORT,127.0.0.1:$((PORT + 1))"
SASL="127.0.0.1:$((PORT + 2)),127.0.0.1:$((PORT + 3))"
JARS="$(classpath kafka)"
BROKER=("" "" "")   # pids of brokers 1 and 2
cleanup() { for p in "${BROKER[@]}"; do [ -n "$p" ] && kill -9 "$p" && wait "$p"; done; }

tool() { # SECONDS CLASS ARGS...
    local limit="$1"; shift
    timeout -k 5 "$limit" java "${JVM[@]}" -Xmx160m "-Dlog4j.configuration=file:$LIB/conf/log4j-warn.properties" \
        -cp "$CACHE/classes-kafka:$JARS" "$@"
}
ask() { tool 40 KafkaSteps "$1" "$ZK" "$PLAIN" "$SASL" 2>/dev/null; }
# step NAME SECONDS STEP [ARGS...]: a verdict for one step of KafkaSteps; the first that fails ends the scenario.
step() {
    local name="$1" limit="$2" what="$3" start=$SECONDS; shift 3
    tool "$limit" KafkaSteps "$what" "$ZK" "$PLAIN" "$SASL" "$@" >"$WORK/$what.log" 2>&1 || {
        tail -n 5 "$WORK/$what.log" >&2
        give_up "$name: $(grep -a 'NOT OK' "$WORK/$what.log" | tail -n 1)"
    }
    grep -a '^ok:' "$WORK/$what.log" >&2
    pass "kafka/$name" "$((SECONDS - start)) s"
}
start_broker() { # N
    local folder="$WORK/broker$1"
    mkdir -p "$folder/logs"
    cat >"$folder/server.properties" <<PROPERTIES
broker.id=$1
listeners=PLAINTEXT://127.0.0.1:$((PORT + $1 - 1)),SASL_PLAINTEXT://127.0.0.1:$((PORT + $1 + 1))
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
zookeeper.connect=$ZK
zookeeper.session.timeout.ms=6000
zookeeper.connection.timeout.ms=20000
authorizer.class.name=kafka.security.authorizer.AclAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
log.dirs=$folder/logs
offsets.topic.replication.factor=2
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=2
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
default.replication.factor=2
min.insync.replicas=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=3
num.recovery.threads.per.data.dir=1
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
log.segment.bytes=16777216
auto.create.topics.enable=false
PROPERTIES
    spawn "$folder/out.log" java "${JVM[@]}" -Xms64m -Xmx256m "-Dlog4j.configuration=file:$LIB/conf/log4j-info.properties" \
        -cp "$JARS" kafka.Kafka "$folder/server.properties"
    BROKER[$1]=$SPAWNED
}

zk create "$CHROOT" "" >/dev/null
tool 60 kafka.admin.ConfigCommand --zookeeper "$ZK" --alter --add-config 'SCRAM-SHA-256=[iterations=4096,password=ox-secret]' \
    --entity-type users --entity-name ox >"$WORK/configs.log" 2>&1 || give_up "kafka-configs --zookeeper: $(tail -n 1 "$WORK/configs.log")"
start_broker 1; start_broker 2
step registration 110 brokers 2
step administration 200 full
{
    tool 60 org.apache.kafka.tools.TopicCommand --bootstrap-server "$PLAIN" --create --topic ox-cli --partitions 2 --replication-factor 2 &&
    tool 60 org.apache.kafka.tools.TopicCommand --bootstrap-server "$PLAIN" --describe --topic ox-cli &&
    tool 60 kafka.admin.ConfigCommand --bootstrap-server "$PLAIN" --alter --entity-type topics --entity-name ox-cli --add-config cleanup.policy=compact &&
    tool 60 kafka.admin.AclCommand --authorizer-properties "zookeeper.connect=$ZK" --list
} >"$WORK/tools.log" 2>&1 || give_up "a command line tool: $(tail -n 1 "$WORK/tools.log")"
grep -q 'User:ox' "$WORK/tools.log" || give_up "kafka-acls does not list the ACL that is in ZooKeeper"
pass kafka/command-line-tools
controller="$(ask controller)"; epoch="$(ask epoch)"
case "$controller" in 1) other=2 ;; 2) other=1 ;; *) give_up "nobody is the controller: '$controller'" ;; esac
note "kill -9 of the controller, broker $controller (epoch $epoch)"
kill -9 "${BROKER[$controller]}"; wait "${BROKER[$controller]}" 2>/dev/null
step controller-killed 150 failover "$controller" "$other" "$epoch"
start_broker "$controller"
step broker-returns 200 rejoin
epoch="$(ask epoch)"
note "orderly stop of the controller, broker $other"
kill -TERM "${BROKER[$other]}"
step controller-stopped 150 failover "$other" "$controller" "$epoch"
