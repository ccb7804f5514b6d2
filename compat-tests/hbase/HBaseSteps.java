import java.util.*;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.*;
import org.apache.hadoop.hbase.client.*;
import org.apache.hadoop.hbase.replication.ReplicationPeerConfig;
import org.apache.hadoop.hbase.util.Bytes;

/** Steps of the HBase scenario: HBaseSteps STEP ZK ZNODE_PARENT [args]; hbase-site.xml is on the class path. */
public class HBaseSteps {
    static final TableName T = TableName.valueOf("ox");
    static final byte[] F = Bytes.toBytes("f"), Q = Bytes.toBytes("q");

    public static void main(String[] a) throws Exception {
        Configuration conf = HBaseConfiguration.create();
        conf.setInt("hbase.client.retries.number", 20);
        conf.setInt("hbase.client.pause", 200);
        String parent = a[2];
        try (Connection c = ConnectionFactory.createConnection(conf); Admin admin = c.getAdmin()) {
            switch (a[0]) {
                case "up":
                    until(120, "cluster up", () -> {
                        ClusterMetrics m = admin.getClusterMetrics();
                        return m.getMasterName() != null && m.getLiveServerMetrics().size() == Integer.parseInt(a[3])
                                && m.getBackupMasterNames().size() == Integer.parseInt(a[4])
                                && admin.tableExists(TableName.META_TABLE_NAME);
                    });
                    System.out.println("master " + admin.getClusterMetrics().getMasterName());
                    break;
                case "fill": fill(c, admin, a[1].split("[,/]")[0] + ":" + parent + "-peer"); break;
                case "check": check(count(c) == Integer.parseInt(a[3]), "rows: " + count(c)); say("rows " + a[3]); break;
                case "afterMaster":
                    until(120, "new master", () -> admin.getClusterMetrics().getMasterName().getPort() != Integer.parseInt(a[3]));
                    say("active master is now " + admin.getClusterMetrics().getMasterName());
                    check(count(c) == 1000, "rows after master failover: " + count(c));
                    make(admin, TableName.valueOf("ox2"));
                    admin.disableTable(TableName.valueOf("ox2"));
                    admin.deleteTable(TableName.valueOf("ox2"));
                    say("table made and dropped under the new master");
                    break;
                case "afterRs":
                    until(180, "dead region server noticed", () -> admin.getClusterMetrics().getLiveServerMetrics().size() == 1);
                    until(180, "rows are back", () -> count(c) == 1000);
                    put(c, 1000, 1200);
                    check(count(c) == 1200, "rows after region server failover: " + count(c));
                    say("region server failover");
                    break;
                case "drop":
                    admin.disableTable(T);
                    admin.deleteTable(T);
                    check(!admin.tableExists(T), "table is still there");
                    say("table dropped");
                    break;
                default: throw new IllegalArgumentException(a[0]);
            }
        }
        System.exit(0);
    }

    static void make(Admin admin, TableName t) throws Exception {
        admin.createTable(TableDescriptorBuilder.newBuilder(t).setColumnFamily(ColumnFamilyDescriptorBuilder.of(F)).build(),
                new byte[][] {Bytes.toBytes("row0300"), Bytes.toBytes("row0700")});
    }

    static void put(Connection c, int from, int to) throws Exception {
        try (Table t = c.getTable(T)) {
            List<Put> l = new ArrayList<>();
            for (int i = from; i < to; i++) {
                l.add(new Put(Bytes.toBytes(String.format("row%04d", i))).addColumn(F, Q, Bytes.toBytes("value " + i)));
            }
            t.put(l);
        }
    }

    static int count(Connection c) throws Exception {
        int n = 0;
        try (Table t = c.getTable(T); ResultScanner s = t.getScanner(new Scan().setCaching(200))) {
            for (Result r : s) {
                n++;
                String row = Bytes.toString(r.getRow());
                check(Bytes.toString(r.getValue(F, Q)).equals("value " + Integer.parseInt(row.substring(3))), "bad row " + row);
            }
        }
        return n;
    }

    static void fill(Connection c, Admin admin, String peer) throws Exception {
        make(admin, T);
        put(c, 0, 1000);
        check(count(c) == 1000, "rows: " + count(c));
        say("1000 rows put and scanned");
        admin.flush(T);
        say("flush");
        admin.snapshot("ox-snap", T);
        admin.cloneSnapshot("ox-snap", TableName.valueOf("ox-clone"));
        admin.disableTable(TableName.valueOf("ox-clone"));
        admin.deleteTable(TableName.valueOf("ox-clone"));
        admin.deleteSnapshot("ox-snap");
        say("snapshot, clone");
        // replication peers and their queues are kept in ZooKeeper
        admin.addReplicationPeer("ox1", ReplicationPeerConfig.newBuilder()
                .setClusterKey(peer).setReplicateAllUserTables(false)
                .setTableCFsMap(Map.of(TableName.valueOf("none"), List.of())).build(), false);
        check(admin.listReplicationPeers().size() == 1, "replication peer is missing");
        admin.removeReplicationPeer("ox1");
        check(admin.listReplicationPeers().isEmpty(), "replication peer is still there");
        say("replication peer");
        admin.balancerSwitch(false, true);
        ClusterMetrics m = admin.getClusterMetrics();
        List<RegionInfo> regions = admin.getRegions(T);
        ServerName to = m.getLiveServerMetrics().keySet().iterator().next();
        for (RegionInfo r : regions) {
            admin.move(r.getEncodedNameAsBytes(), to);
        }
        until(60, "regions moved", () -> admin.getRegions(to).stream().filter(r -> r.getTable().equals(T)).count() == regions.size());
        admin.balancerSwitch(true, true);
        check(count(c) == 1000, "rows after the move");
        say("regions moved to " + to);
    }

    interface Cond {
        boolean ok() throws Exception;
    }

    static void until(int seconds, String what, Cond c) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        Exception last = null;
        while (System.nanoTime() < end) {
            try {
                if (c.ok()) {
                    return;
                }
                last = null;
            } catch (Exception e) {
                last = e;
            }
            Thread.sleep(300);
        }
        if (last != null) {
            last.printStackTrace();
        }
        check(false, "waited " + seconds + " s for: " + what);
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            System.out.println("NOT OK: " + what);
            System.out.flush();
            System.exit(1);
        }
    }

    static void say(String s) {
        System.out.println("ok: " + s);
        System.out.flush();
    }
}
