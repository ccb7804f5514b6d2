import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.data.Stat;

/** What the server does by itself: counts against quotas, and removes containers and nodes whose time is over. */
final class QuotaStories {
    private QuotaStories() {
    }

    private static void count(Client a, String path) throws Exception {
        Stat stat = new Stat();
        a.say("  counted", () -> Transcript.data(a.zk.getData("/zookeeper/quota" + path + "/zookeeper_stats", false, stat)) + " version " + stat.getVersion());
    }

    private static void create(Client a, String path, String data) throws Exception {
        a.say("create " + path + " with " + data.length() + " bytes", () -> a.zk.create(path, Matrix.b(data), Matrix.OPEN, CreateMode.PERSISTENT));
    }

    /** The server of this test enforces quotas; see run.sh. */
    static void quota(String root) throws Exception {
        String q = root + "/q";
        String node = "/zookeeper/quota" + q;
        try (Client a = new Client("A")) {
            create(a, q, "abc");
            create(a, q + "/1", "12345");
            for (String p : List.of("/zookeeper/quota" + root, node)) {
                create(a, p, "");
            }
            create(a, node + "/zookeeper_limits", "count=4,bytes=-1=;byteHardLimit=20;countHardLimit=4");
            create(a, node + "/zookeeper_stats", "count=0,bytes=0");
            count(a, q);
            create(a, q + "/2", "12");
            count(a, q);
            create(a, q + "/2/3", "");
            count(a, q);
            create(a, q + "/2/4", "one too many");
            a.say("  by multi as well", () -> Transcript.results(a.zk.multi(List.of(Op.create(q + "/5", null, Matrix.OPEN, CreateMode.PERSISTENT)))));
            a.say("setData up to the limit of bytes", () -> a.zk.setData(q + "/2", Matrix.b("123456789012"), -1));
            count(a, q);
            a.say("setData beyond it", () -> a.zk.setData(q + "/2", Matrix.b("1234567890123"), -1));
            a.say("setData by multi", () -> Transcript.results(a.zk.multi(List.of(Op.setData(q + "/2", Matrix.b("1234567890123"), -1)))));
            a.say("setData at a wrong version beyond it", () -> a.zk.setData(q + "/2", Matrix.b("1234567890123"), 77));
            a.say("setData of less", () -> a.zk.setData(q + "/2", Matrix.b("1"), -1));
            count(a, q);
            a.say("delete", () -> {
                a.zk.delete(q + "/2/3", -1);
                return null;
            });
            count(a, q);
            a.say("an ephemeral node counts too", () -> a.zk.create(q + "/e", null, Matrix.OPEN, CreateMode.EPHEMERAL));
            count(a, q);
            create(a, q + "/6", "");
            a.say("raise the limits", () -> a.zk.setData(node + "/zookeeper_limits", Matrix.b("count=1,bytes=1"), -1));
            create(a, q + "/6", "soft limits refuse nothing");
            count(a, q);
            create(a, q + "nn", "a neighbour is not counted");
            count(a, q);
            a.say("a quota inside: the nearest one counts", () -> a.zk.create(node + "/2", null, Matrix.OPEN, CreateMode.PERSISTENT));
            create(a, node + "/2/zookeeper_limits", "count=9,bytes=-1");
            create(a, node + "/2/zookeeper_stats", "count=0,bytes=0");
            create(a, q + "/2/x", "xx");
            count(a, q);
            count(a, q + "/2");
            for (String x : List.of("/2/zookeeper_limits", "/2/zookeeper_stats", "/2")) {
                a.say("delete " + x, () -> {
                    a.zk.delete(node + x, -1);
                    return null;
                });
            }
            create(a, q + "/2/y", "yy");
            count(a, q);
            a.say("delete the limits", () -> {
                a.zk.delete(node + "/zookeeper_limits", -1);
                return null;
            });
            create(a, q + "/7", "");
            count(a, q);
            a.say("delete the counters", () -> {
                a.zk.delete(node + "/zookeeper_stats", -1);
                return null;
            });
        }
    }

    /** The server of this test looks for candidates every second; see run.sh. */
    static void containersAndTtl(String root) throws Exception {
        try (Client a = new Client("A")) {
            String full = root + "/container";
            a.zk.addWatch(root, a.watcher("recursive"), org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE);
            a.say("a container", () -> a.zk.create(full, null, Matrix.OPEN, CreateMode.CONTAINER));
            a.say("  that had a child", () -> a.zk.create(full + "/x", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("a container that never had one", () -> a.zk.create(root + "/unused", null, Matrix.OPEN, CreateMode.CONTAINER));
            a.say("a container that keeps its child", () -> a.zk.create(root + "/kept", null, Matrix.OPEN, CreateMode.CONTAINER));
            a.say("  the child", () -> a.zk.create(root + "/kept/x", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("a node for 100 ms with a child", () -> a.zk.create(root + "/parent", null, Matrix.OPEN, CreateMode.PERSISTENT_WITH_TTL, null, 100));
            a.say("  the child", () -> a.zk.create(root + "/parent/x", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("a node for an hour", () -> a.zk.create(root + "/hour", null, Matrix.OPEN, CreateMode.PERSISTENT_WITH_TTL, null, 3_600_000));
            a.events();
            a.say("the container loses its child", () -> {
                a.zk.delete(full + "/x", -1);
                return null;
            });
            Matrix.until("the container is gone", 20, () -> a.zk.exists(full, false) == null);
            a.events();
            a.say("a node for 100 ms", () -> a.zk.create(root + "/short", null, Matrix.OPEN, CreateMode.PERSISTENT_WITH_TTL, null, 100));
            Matrix.until("it is gone", 20, () -> a.zk.exists(root + "/short", false) == null);
            a.events();
            a.say("children", () -> Transcript.names(a.zk.getChildren(root, false)));
            a.say("the node with a child loses it", () -> {
                a.zk.delete(root + "/parent/x", -1);
                return null;
            });
            Matrix.until("its time is over", 20, () -> a.zk.exists(root + "/parent", false) == null);
            a.say("children", () -> Transcript.names(a.zk.getChildren(root, false)));
        }
    }
}
