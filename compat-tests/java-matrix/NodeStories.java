import java.util.List;
import java.util.Random;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.proto.CreateRequest;
import org.apache.zookeeper.proto.CreateTTLRequest;
import org.apache.zookeeper.proto.DeleteRequest;
import org.apache.zookeeper.proto.GetDataRequest;
import org.apache.zookeeper.proto.SetDataRequest;

/** Znodes: create modes, data, versions, children, sequence numbers, paths, and which error comes first. */
final class NodeStories {
    private NodeStories() {
    }

    static void fresh(String root) throws Exception {
        try (Client a = new Client("A")) {
            for (String path : List.of("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")) {
                a.say("exists " + path, () -> a.zk.exists(path, false));
                a.say("getData " + path, () -> Transcript.data(a.zk.getData(path, false, null)));
                a.say("getACL " + path, () -> Transcript.acl(a.zk.getACL(path, new Stat())));
                a.say("getChildren " + path, () -> Transcript.names(a.zk.getChildren(path, false)));
            }
            a.say("getAllChildrenNumber /", () -> a.zk.getAllChildrenNumber("/"));
            a.say("getConfig", () -> Transcript.data(a.zk.getConfig(false, null)));
            for (String path : List.of("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config")) {
                a.say("delete " + path, () -> {
                    a.zk.delete(path, -1);
                    return null;
                });
                a.say("create " + path, () -> a.zk.create(path, null, Matrix.OPEN, CreateMode.PERSISTENT));
                a.say("setData " + path, () -> a.zk.setData(path, new byte[0], -1));
            }
            a.say("create /zookeeper/mine", () -> a.zk.create("/zookeeper/mine", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("delete /zookeeper/mine", () -> {
                a.zk.delete("/zookeeper/mine", -1);
                return null;
            });
        }
    }

    static void modes(String root) throws Exception {
        try (Client a = new Client("A"); Client b = new Client("B")) {
            for (CreateMode mode : CreateMode.values()) {
                long ttl = mode.isTTL() ? 3_600_000 : -1;
                String path = root + "/" + mode.name().toLowerCase().replace('_', '-') + (mode.isSequential() ? "-" : "");
                Stat stat = new Stat();
                if (!mode.isTTL()) {
                    a.say("create " + mode, () -> a.zk.create(path, Matrix.b("one"), Matrix.OPEN, mode));
                }
                String again = mode.isSequential() ? path : path + "-again";
                String[] made = new String[1];
                a.say("create with stat " + mode, () -> made[0] = a.zk.create(again, Matrix.b("two"), Matrix.OPEN, mode, stat, ttl));
                a.say("  the stat that came with it", () -> stat);
                a.say("  exists", () -> a.zk.exists(made[0], false));
                a.say("  a child", () -> a.zk.create(made[0] + "/child", null, Matrix.OPEN, CreateMode.PERSISTENT));
                a.say("  the same once more", () -> a.zk.create(again, null, Matrix.OPEN, mode, null, ttl));
            }
            for (long ttl : new long[] {0, -1, 1, 1099511627775L, 1099511627776L}) {
                a.say("create with a TTL of " + ttl, () -> a.zk.create(root + "/ttl" + ttl, null, Matrix.OPEN, CreateMode.PERSISTENT_WITH_TTL, null, ttl));
            }
            a.say("delete the node with a TTL of 1", () -> {
                a.zk.delete(root + "/ttl1", -1);
                return null;
            });
            a.say("getEphemerals", () -> Transcript.names(a.zk.getEphemerals()));
            a.say("getEphemerals with a prefix", () -> Transcript.names(a.zk.getEphemerals(root + "/ephemeral-s")));
            a.say("getEphemerals elsewhere", () -> Transcript.names(a.zk.getEphemerals("/nowhere")));
            b.say("getEphemerals", () -> Transcript.names(b.zk.getEphemerals()));
            b.say("children", () -> Transcript.names(b.zk.getChildren(root, false)));
            b.say("exists " + root, () -> b.zk.exists(root, false));
            a.close();
            Transcript.line("A closes its session");
            b.say("children", () -> Transcript.names(b.zk.getChildren(root, false)));
            b.say("exists " + root, () -> b.zk.exists(root, false));
        }
        try (Wire w = Wire.open("W")) {
            for (int type : new int[] {1, 15, 19, 21}) {
                for (int flags = -1; flags <= 7; flags++) {
                    if (type == 21 && flags <= 4) {
                        continue;   // Java 3.9.5 stops serving on some of these; see the specification's quirks
                    }
                    String path = root + "/op" + type + "flags" + flags + "-";
                    w.call("op " + type + " flags " + flags, type, type == 21 ? new CreateTTLRequest(path, null, Matrix.OPEN, flags, 3_600_000)
                            : new CreateRequest(path, null, Matrix.OPEN, flags));
                }
            }
        }
        try (Client b = new Client("B")) {
            b.say("children", () -> Transcript.names(b.zk.getChildren(root, false).stream().filter(n -> n.startsWith("op")).toList()));
        }
    }

    static void data(String root) throws Exception {
        try (Client a = new Client("A")) {
            String path = root + "/a";
            byte[] large = new byte[1_000_000];
            new Random(1).nextBytes(large);
            a.say("create with null data", () -> a.zk.create(path, null, Matrix.OPEN, CreateMode.PERSISTENT));
            for (byte[] data : new byte[][] {null, new byte[0], Matrix.b("x"), Matrix.b("grüße"), large, Matrix.b("y")}) {
                a.say("setData " + Transcript.data(data), () -> a.zk.setData(path, data, -1));
                a.say("getData", () -> {
                    Stat stat = new Stat();
                    return Transcript.data(a.zk.getData(path, false, stat)) + " {" + Transcript.stat(stat) + "}";
                });
            }
            for (int version : new int[] {0, 5, 6, 7, -2, Integer.MAX_VALUE, Integer.MIN_VALUE, -1}) {
                a.say("setData at version " + version, () -> a.zk.setData(path, Matrix.b("v"), version));
            }
            a.say("setData " + root + "/missing", () -> a.zk.setData(root + "/missing", null, -1));
            a.say("getData " + root + "/missing", () -> a.zk.getData(root + "/missing", false, null));
            a.say("exists " + root + "/missing", () -> Transcript.stat(a.zk.exists(root + "/missing", false)));
            a.say("sync " + root + "/missing", () -> {
                a.zk.sync(root + "/missing");
                return null;
            });
            for (int version : new int[] {3, -2, 8}) {
                a.say("delete at version " + version, () -> {
                    a.zk.delete(path, version);
                    return null;
                });
            }
            a.say("delete again", () -> {
                a.zk.delete(path, -1);
                return null;
            });
            a.say("create anew", () -> a.zk.create(path, Matrix.b("new"), Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("exists", () -> a.zk.exists(path, false));
        }
    }

    static void children(String root) throws Exception {
        try (Client a = new Client("A")) {
            a.say("getChildren of a leaf", () -> Transcript.names(a.zk.getChildren(root, false)));
            for (String child : List.of("b", "a", "c", "a/1", "a/2", "a/1/x")) {
                a.say("create " + child, () -> a.zk.create(root + "/" + child, Matrix.b(child), Matrix.OPEN, CreateMode.PERSISTENT));
            }
            for (String path : List.of(root, root + "/a", root + "/b", root + "/missing")) {
                a.say("getChildren " + path, () -> Transcript.names(a.zk.getChildren(path, false)));
                a.say("getChildren2 " + path, () -> {
                    Stat stat = new Stat();
                    return Transcript.names(a.zk.getChildren(path, false, stat)) + " {" + Transcript.stat(stat) + "}";
                });
                a.say("getAllChildrenNumber " + path, () -> a.zk.getAllChildrenNumber(path));
            }
            a.say("delete a, which has children", () -> {
                a.zk.delete(root + "/a", -1);
                return null;
            });
            a.say("delete a, which has children, at a wrong version", () -> {
                a.zk.delete(root + "/a", 5);
                return null;
            });
            for (String child : List.of("a/1/x", "a/1", "a/2", "a", "b")) {
                a.say("delete " + child, () -> {
                    a.zk.delete(root + "/" + child, 0);
                    return null;
                });
                a.say("  " + root, () -> a.zk.exists(root, false));
            }
            for (int i = 0; i < 300; i++) {
                a.zk.create(root + "/many-" + i, null, Matrix.OPEN, CreateMode.PERSISTENT);
            }
            a.say("getChildren of 301, as a checksum", () -> Transcript.data(Matrix.b(Transcript.names(a.zk.getChildren(root, false)))));
            a.say("exists", () -> a.zk.exists(root, false));
        }
    }

    static void sequence(String root) throws Exception {
        try (Client a = new Client("A")) {
            CreateMode seq = CreateMode.PERSISTENT_SEQUENTIAL;
            a.say("first", () -> a.zk.create(root + "/s-", null, Matrix.OPEN, seq));
            a.say("plain nodes count too", () -> a.zk.create(root + "/plain", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("next", () -> a.zk.create(root + "/s-", null, Matrix.OPEN, seq));
            a.say("a failed create does not count", () -> a.zk.create(root + "/plain", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("next, another prefix", () -> a.zk.create(root + "/t", null, Matrix.OPEN, CreateMode.EPHEMERAL_SEQUENTIAL));
            a.say("a delete does not count", () -> {
                a.zk.delete(root + "/plain", -1);
                return null;
            });
            a.say("next", () -> a.zk.create(root + "/s-", null, Matrix.OPEN, seq));
            a.say("an empty name", () -> a.zk.create(root + "/", null, Matrix.OPEN, seq));
            a.say("with a TTL", () -> a.zk.create(root + "/l", null, Matrix.OPEN, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, null, 100_000));
            a.say("a name that is taken", () -> a.zk.create(root + "/x0000000008", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("  the next is eight", () -> a.zk.create(root + "/y", null, Matrix.OPEN, seq));
            a.say("a name that will be wanted", () -> a.zk.create(root + "/z0000000010", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("  and is then there", () -> a.zk.create(root + "/z", null, Matrix.OPEN, seq));
            a.say("  once more", () -> a.zk.create(root + "/z", null, Matrix.OPEN, seq));
            a.say("the parent", () -> a.zk.exists(root, false));
            a.say("children", () -> Transcript.names(a.zk.getChildren(root, false)));
        }
    }

    /** By bare frames, since the client refuses such paths itself. */
    static void paths(String root) throws Exception {
        try (Wire w = Wire.open("W")) {
            List<String> paths = new java.util.ArrayList<>(List.of("", "/", "relative", root + "/", root + "//x", root + "/./x", root + "/../x", root + "/x/..", root + "/...",
                    root + "/.x", "//", "/.", root + "/\u0000", root + "/\u0001", root + "/\u001f", root + "/\u007f", root + "/\u009f", root + "/\u00a0",
                    root + "/\ud7ff", root + "/\ud800\udc00", root + "/\ue000", root + "/\uf8ff", root + "/\uf900", root + "/\uffef", root + "/\ufff0", root + "/ok"));
            paths.add(null);
            for (String path : paths) {
                StringBuilder shown = new StringBuilder();
                if (path == null) {
                    shown.append("null");
                } else {
                    path.chars().forEach(c -> shown.append(c < 0x20 || c > 0x7e ? String.format("\\u%04x", c) : String.valueOf((char) c)));
                }
                w.call("create " + shown, 1, new CreateRequest(path, null, Matrix.OPEN, 0));
                w.call("  setData", 5, new SetDataRequest(path, null, 0));
                w.call("  getData", 4, new GetDataRequest(path, false));
                w.call("  delete", 2, new DeleteRequest(path, -1));
            }
        }
    }

    static void precedence(String root) throws Exception {
        try (Client a = new Client("A"); Wire w = Wire.open("W")) {
            a.say("an ephemeral node", () -> a.zk.create(root + "/eph", null, Matrix.OPEN, CreateMode.EPHEMERAL));
            a.say("a node without rights", () -> a.zk.create(root + "/shut", null, Matrix.acl(16, "world", "anyone"), CreateMode.PERSISTENT));
            List<ACL> bad = Matrix.acl(31, "nonsense", "x");
            Object[][] cases = {
                {"bad flags, bad ACL, no parent", "/no/parent", bad, 9}, {"bad ACL, no parent", "/no/parent", bad, 0},
                {"no parent, bad path", "/no/parent/", Matrix.OPEN, 0}, {"no CREATE, bad path", "/shut/x/", Matrix.OPEN, 0},
                {"no CREATE", "/shut/x", Matrix.OPEN, 0}, {"ephemeral parent, bad path", "/eph/./", Matrix.OPEN, 0},
                {"ephemeral parent", "/eph/x", Matrix.OPEN, 0}, {"ephemeral parent, sequential", "/eph/x", Matrix.OPEN, 2},
                {"node exists, bad ACL", "/shut", bad, 0}, {"node exists", "/shut", Matrix.OPEN, 0}, {"TTL flag without a TTL", "/t", bad, 5},
                {"empty ACL, no parent", "/no/parent", List.of(), 0}, {"null ACL, no parent", "/no/parent", null, 0},
            };
            for (Object[] c : cases) {
                @SuppressWarnings("unchecked")
                List<ACL> acl = (List<ACL>) c[2];
                w.call("create: " + c[0], 1, new CreateRequest(root + c[1], null, acl, (Integer) c[3]));
            }
            w.call("setData: bad path, no node", 5, new SetDataRequest(root + "/no/", null, 4));
            w.call("setData: no WRITE, bad version", 5, new SetDataRequest(root + "/shut", null, 4));
            w.call("setData: bad version", 5, new SetDataRequest(root + "/eph", null, 4));
            w.call("delete: no parent", 2, new DeleteRequest(root + "/no/x", 4));
            w.call("delete: no DELETE, no node", 2, new DeleteRequest(root + "/shut/x", 4));
            w.call("delete: no node, bad path", 2, new DeleteRequest(root + "/x/", 4));
            w.call("delete: bad version", 2, new DeleteRequest(root + "/eph", 4));
            w.call("setACL: bad ACL, no node", 7, new org.apache.zookeeper.proto.SetACLRequest(root + "/no", bad, 4));
            w.call("setACL: bad path, bad ACL", 7, new org.apache.zookeeper.proto.SetACLRequest(root + "/no/", bad, 4));
            w.call("setACL: bad version", 7, new org.apache.zookeeper.proto.SetACLRequest(root + "/eph", Matrix.OPEN, 4));
        }
    }

    static void chroot(String root) throws Exception {
        try (Client a = new Client("A"); Client c = new Client("C", Matrix.server + root + "/in", 30000)) {
            c.say("create / in a chroot that is missing", () -> c.zk.create("/x", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.say("create the chroot", () -> a.zk.create(root + "/in", null, Matrix.OPEN, CreateMode.PERSISTENT));
            c.say("create /x", () -> c.zk.create("/x", Matrix.b("1"), Matrix.OPEN, CreateMode.PERSISTENT));
            c.say("create /s-", () -> c.zk.create("/s-", null, Matrix.OPEN, CreateMode.EPHEMERAL_SEQUENTIAL, new Stat()));
            c.say("getEphemerals", () -> Transcript.names(c.zk.getEphemerals()));
            c.say("getEphemerals /s", () -> Transcript.names(c.zk.getEphemerals("/s")));
            a.say("children from outside", () -> Transcript.names(a.zk.getChildren(root + "/in", false)));
            c.say("getChildren / with a watch", () -> Transcript.names(c.zk.getChildren("/", c.watcher("child"))));
            c.say("getData /x with a watch", () -> Transcript.data(c.zk.getData("/x", c.watcher("data"), null)));
            c.say("addWatch / recursive", () -> {
                c.zk.addWatch("/", c.watcher("recursive"), org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE);
                return null;
            });
            a.say("setData x from outside", () -> a.zk.setData(root + "/in/x", null, -1));
            a.say("create y from outside", () -> a.zk.create(root + "/in/y", null, Matrix.OPEN, CreateMode.PERSISTENT));
            c.events();
            c.say("getAllChildrenNumber /", () -> c.zk.getAllChildrenNumber("/"));
            c.say("delete /missing", () -> {
                c.zk.delete("/missing", -1);
                return null;
            });
            ZooKeeper zk = c.zk;
            c.say("multi", () -> Transcript.results(zk.multi(List.of(org.apache.zookeeper.Op.create("/m", null, Matrix.OPEN, CreateMode.PERSISTENT),
                    org.apache.zookeeper.Op.delete("/m", -1)))));
            c.events();
        }
    }
}
