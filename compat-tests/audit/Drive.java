// What compat-tests/audit/java-3.9.5.txt was captured with: changes of every kind, good and refused, on a server with
// audit.enable, extendedTypesEnabled and enforceQuota. compat-tests/audit.rs does the same on Oxkeeper.
import org.apache.zookeeper.*;
import org.apache.zookeeper.data.*;
import java.util.*;
import java.util.concurrent.*;
public class Drive {
  interface Do { Object run() throws Exception; }
  static void t(String what, Do d) { try { System.out.println(what+" -> "+d.run()); } catch (Exception e) { System.out.println(what+" !! "+e); } }
  public static void main(String[] a) throws Exception {
    CountDownLatch l = new CountDownLatch(1);
    ZooKeeper zk = new ZooKeeper(a[0], 10000, e -> { if (e.getState()==Watcher.Event.KeeperState.SyncConnected) l.countDown(); });
    l.await();
    List<ACL> open = ZooDefs.Ids.OPEN_ACL_UNSAFE;
    byte[] d = "x".getBytes();
    for (CreateMode m : CreateMode.values()) {
      final CreateMode mm = m;
      if (m.isTTL()) t("create2 "+m, () -> zk.create("/a-"+mm, d, open, mm, new Stat(), 100000));
      else { t("create "+m, () -> zk.create("/a-"+mm, d, open, mm)); t("create2 "+m, () -> zk.create("/b-"+mm, d, open, mm, new Stat())); }
    }
    t("create exists", () -> zk.create("/a-PERSISTENT", d, open, CreateMode.PERSISTENT));
    t("create eph exists", () -> zk.create("/a-PERSISTENT", d, open, CreateMode.EPHEMERAL));
    t("create seq noparent", () -> zk.create("/none/x-", d, open, CreateMode.PERSISTENT_SEQUENTIAL));
    t("create badacl", () -> zk.create("/badacl", d, Arrays.asList(new ACL(31, new Id("nope","x"))), CreateMode.PERSISTENT));
    t("set", () -> zk.setData("/a-PERSISTENT", d, -1));
    t("set badversion", () -> zk.setData("/a-PERSISTENT", d, 77));
    t("set nonode", () -> zk.setData("/none", d, -1));
    t("setacl", () -> zk.setACL("/a-PERSISTENT", open, -1));
    zk.addAuthInfo("digest", "bob:secret".getBytes());
    zk.addAuthInfo("digest", "al:pw".getBytes());
    t("setacl two", () -> zk.setACL("/a-PERSISTENT", Arrays.asList(new ACL(31, new Id("world","anyone")), new ACL(5, new Id("auth","")), new ACL(3, new Id("ip","10.0.0.0/8"))), -1));
    t("setacl nonode", () -> zk.setACL("/none", open, -1));
    t("setacl invalid", () -> zk.setACL("/a-PERSISTENT", Arrays.asList(new ACL(31, new Id("nope","x"))), -1));
    t("setacl badversion", () -> zk.setACL("/a-PERSISTENT", open, 99));
    t("mk locked", () -> zk.create("/locked", d, Arrays.asList(new ACL(1, new Id("world","anyone"))), CreateMode.PERSISTENT));
    t("set noauth", () -> zk.setData("/locked", d, -1));
    t("create noauth", () -> zk.create("/locked/x", d, open, CreateMode.PERSISTENT));
    t("setacl noauth", () -> zk.setACL("/locked", open, -1));
    t("delete", () -> { zk.delete("/a-PERSISTENT", -1); return "ok"; });
    t("delete nonode", () -> { zk.delete("/none", -1); return "ok"; });
    t("mk parent", () -> zk.create("/p", d, open, CreateMode.PERSISTENT));
    t("mk child", () -> zk.create("/p/c", d, open, CreateMode.PERSISTENT));
    t("delete notempty", () -> { zk.delete("/p", -1); return "ok"; });
    t("multi ok", () -> zk.multi(Arrays.asList(Op.create("/m", d, open, CreateMode.PERSISTENT), Op.check("/m", 0), Op.setData("/m", d, 0), Op.create("/m/e-", d, open, CreateMode.EPHEMERAL_SEQUENTIAL), Op.create("/m2", d, open, CreateMode.CONTAINER), Op.create("/m3", d, open, CreateMode.PERSISTENT_WITH_TTL, 100000), Op.delete("/m3", -1))));
    t("multi failed", () -> zk.multi(Arrays.asList(Op.create("/n", d, open, CreateMode.PERSISTENT), Op.delete("/none", -1))));
    t("multi check failed", () -> zk.multi(Arrays.asList(Op.check("/m", 7))));
    t("unicode path", () -> zk.create("/ünï\u4e2d", d, open, CreateMode.PERSISTENT));
    t("quota", () -> zk.create("/zookeeper/quota/p", new byte[0], open, CreateMode.PERSISTENT));
    t("quota limit", () -> zk.create("/zookeeper/quota/p/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3".getBytes(), open, CreateMode.PERSISTENT));
    t("quota stat", () -> zk.create("/zookeeper/quota/p/zookeeper_stats", "count=0,bytes=0".getBytes(), open, CreateMode.PERSISTENT));
    t("q1", () -> zk.create("/p/q1", d, open, CreateMode.PERSISTENT));
    t("q2", () -> zk.create("/p/q2", d, open, CreateMode.PERSISTENT));
    t("q3", () -> zk.create("/p/q3", d, open, CreateMode.PERSISTENT));
    t("reconfig", () -> { return new org.apache.zookeeper.admin.ZooKeeperAdmin(a[0], 5000, e->{}).reconfigure((String)null, null, "server.1=127.0.0.1:1:2;3", -1, new Stat()); });
    zk.close();
    CountDownLatch l2 = new CountDownLatch(1);
    ZooKeeper z2 = new ZooKeeper(a[0], 1000, e -> { if (e.getState()==Watcher.Event.KeeperState.SyncConnected) l2.countDown(); });
    l2.await();
    t("eph2", () -> z2.create("/eph2", d, open, CreateMode.EPHEMERAL));
    Runtime.getRuntime().halt(0);
  }
}
