#!/usr/bin/env bash
# HBase 2.6 (its client is ZooKeeper 3.8.4) against the server under test: two masters and two region servers on the local
# file system, fail-over of both kinds. The steps are in HBaseSteps.java.
. "$(dirname "$0")/../lib/common.sh"
. "$LIB/server.sh"
begin hbase 600
resolve hbase || give_up "the jars could not be resolved"
compile hbase "$COMPAT/hbase" || give_up "HBaseSteps does not compile"
start_server
JARS="$(classpath hbase)"
PARENT="/hbase-$$-$(date +%s)"
PORT="$(free_ports 20)"   # masters from PORT on, region servers from PORT + 10 on
OPENS=(-Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true --add-exports=java.base/jdk.internal.misc=ALL-UNNAMED
    --add-exports=java.base/sun.net.dns=ALL-UNNAMED --add-exports=java.base/sun.net.util=ALL-UNNAMED)
for package in java.lang java.lang.reflect java.io java.math java.net java.nio java.util java.util.concurrent jdk.internal.ref sun.nio.ch; do
    OPENS+=("--add-opens=java.base/$package=ALL-UNNAMED")
done

configure() { # FOLDER MASTER_PORT REGION_SERVER_PORT
    mkdir -p "$1"
    {
        echo '<configuration>'
        while read -r name value; do
            printf '<property><name>%s</name><value>%s</value></property>\n' "$name" "$value"
        done <<PROPERTIES
hbase.cluster.distributed true
hbase.rootdir file://$WORK/root
hbase.wal.dir file://$WORK/wal
hbase.tmp.dir $WORK/tmp
hbase.zookeeper.quorum $ZK_CONNECT
hbase.zookeeper.property.clientPort ${ZK_CONNECT##*:}
zookeeper.znode.parent $PARENT
zookeeper.session.timeout 6000
hbase.unsafe.stream.capability.enforce false
hbase.wal.provider filesystem
hbase.master.port $2
hbase.master.info.port -1
hbase.regionserver.port $3
hbase.regionserver.info.port -1
hbase.master.hostname localhost
hbase.unsafe.regionserver.hostname localhost
hbase.master.ipc.address 127.0.0.1
hbase.regionserver.ipc.address 127.0.0.1
hbase.client.registry.impl org.apache.hadoop.hbase.client.ZKConnectionRegistry
hbase.regionserver.handler.count 6
hbase.master.wait.on.regionservers.mintostart 1
hbase.master.wait.on.regionservers.interval 500
hbase.regionserver.msginterval 1000
hbase.hregion.memstore.flush.size 16777216
hbase.procedure.remote.dispatcher.delay.msec 50
PROPERTIES
        echo '</configuration>'
    } >"$1/hbase-site.xml"
}
daemon() { # NAME CLASS MASTER_PORT REGION_SERVER_PORT
    configure "$WORK/$1" "$3" "$4"
    spawn "$WORK/$1.log" java "${JVM[@]}" "${OPENS[@]}" -Xms64m -Xmx384m "-Dlog4j.configuration=file:$LIB/conf/log4j-info.properties" \
        -cp "$WORK/$1:$JARS" "$2" start
}
master() { daemon "$1" org.apache.hadoop.hbase.master.HMaster "$2" "$3"; }
region_server() { daemon "$1" org.apache.hadoop.hbase.regionserver.HRegionServer "$2" "$3"; }
# step NAME SECONDS STEP [ARGS...]: a verdict for one step of HBaseSteps; the first that fails ends the scenario.
step() {
    local name="$1" limit="$2" what="$3" start=$SECONDS; shift 3
    timeout -k 5 "$limit" java "${JVM[@]}" "${OPENS[@]}" -Xmx192m "-Dlog4j.configuration=file:$LIB/conf/log4j-warn.properties" \
        -cp "$WORK/client:$CACHE/classes-hbase:$JARS" HBaseSteps "$what" "$ZK_CONNECT" "$PARENT" "$@" >"$WORK/$name.log" 2>&1 || {
        tail -n 5 "$WORK/$name.log" >&2
        give_up "$name: $(grep -a 'NOT OK' "$WORK/$name.log" | tail -n 1)"
    }
    grep -a '^ok:' "$WORK/$name.log" >&2
    pass "hbase/$name" "$((SECONDS - start)) s"
}

configure "$WORK/client" "$PORT" $((PORT + 10))
master m1 "$PORT" $((PORT + 10)); M1=$SPAWNED
region_server r1 "$PORT" $((PORT + 11)); R1=$SPAWNED
region_server r2 "$PORT" $((PORT + 12)); R2=$SPAWNED
step cluster 200 up 2 0
master m2 $((PORT + 1)) $((PORT + 13)); M2=$SPAWNED
step backup-master 150 up 2 1
step tables 150 fill
note "kill -9 of the active master"
kill -9 "$M1"; wait "$M1" 2>/dev/null
step master-killed 180 afterMaster "$PORT"
note "kill -9 of the region server that has the table"
on="$(sed -n 's/.*regions moved to localhost,\([0-9]*\),.*/\1/p' "$WORK/tables.log" | tail -n 1)"
victim=$R2; [ "$on" = $((PORT + 11)) ] && victim=$R1
kill -9 "$victim"; wait "$victim" 2>/dev/null
step region-server-killed 240 afterRs
master m3 $((PORT + 2)) $((PORT + 14))
step third-master 150 up 1 1
kill -TERM "$M2"
step master-stopped 150 up 1 0
step rows 100 check 1200
step table-dropped 100 drop
