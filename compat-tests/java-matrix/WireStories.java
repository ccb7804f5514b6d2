import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.proto.*;

/** Each opcode as a bare frame, also those that no client sends; what is no frame; and many requests at once. */
final class WireStories {
    private WireStories() {
    }

    static void opcodes(String root) throws Exception {
        try (Wire w = Wire.open("W")) {
            w.call("ping", -2, 11, null);
            w.call("ping with an xid of its own", 55, 11, null);
            w.call("1 create", 1, new CreateRequest(root + "/n", Matrix.b("x"), Matrix.OPEN, 0));
            w.call("15 create2", 15, new CreateRequest(root + "/n2", Matrix.b("x"), Matrix.OPEN, 0));
            w.call("19 createContainer", 19, new CreateRequest(root + "/c", Matrix.b("x"), Matrix.OPEN, 4));
            w.call("21 createTTL", 21, new CreateTTLRequest(root + "/t", Matrix.b("x"), Matrix.OPEN, 5, 3_600_000));
            w.call("a failed write takes a zxid", 1, new CreateRequest(root + "/n", null, Matrix.OPEN, 0));
            w.call("  another", 2, new DeleteRequest("/", -1));
            w.call("  exists shows it", 3, new ExistsRequest(root, false));
            w.call("3 exists of nothing", 3, new ExistsRequest(root + "/no", false));
            w.call("4 getData", 4, new GetDataRequest(root + "/n", false));
            w.call("5 setData", 5, new SetDataRequest(root + "/n", Matrix.b("y"), 0));
            w.call("6 getACL", 6, new GetACLRequest(root + "/n"));
            w.call("7 setACL", 7, new SetACLRequest(root + "/n", Matrix.OPEN, 0));
            w.call("8 getChildren", 8, new GetChildrenRequest(root + "/n", false));
            w.call("12 getChildren2", 12, new GetChildren2Request(root + "/n", false));
            w.call("9 sync", 9, new SyncRequest("/any/where"));
            w.call("9 sync of null", 9, new SyncRequest(null));
            w.call("16 reconfig", 16, new ReconfigRequest("server.1=h:1:2;3", null, null, -1));
            w.call("103 getEphemerals", 103, new GetEphemeralsRequest("/"));
            w.call("103 getEphemerals of null", 103, new GetEphemeralsRequest(null));
            w.call("104 getAllChildrenNumber", 104, new GetAllChildrenNumberRequest(root));
            w.call("107 whoAmI", 107, null);
            w.call("100 auth", -4, 100, new AuthPacket(0, "digest", Matrix.b("bob:builder")));
            w.call("100 auth with an xid of its own", 77, 100, new AuthPacket(0, "ip", null));
            w.call("100 auth world", 78, 100, new AuthPacket(0, "digest", Matrix.b("no-colon")));
            w.call("107 whoAmI", 107, null);
            w.call("102 sasl, which nobody configured", 102, new GetSASLRequest(Matrix.b("token")));
            w.call("106 addWatch", 106, new AddWatchRequest(root + "/n", 0));
            w.call("5 setData with a watch on it", 5, new SetDataRequest(root + "/n", null, -1));
            w.call("17 checkWatches", 17, new CheckWatchesRequest(root + "/n", 4));
            w.call("18 removeWatches", 18, new RemoveWatchesRequest(root + "/n", 4));
            w.call("101 setWatches", -8, 101, new SetWatches(0, List.of(root + "/n", root + "/no"), List.of(root + "/n", root + "/no"), List.of(root + "/n", root + "/no")));
            w.call("101 setWatches that is up to date", -8, 101, new SetWatches(Long.MAX_VALUE, List.of(root + "/n"), List.of(), List.of(root + "/n")));
            w.call("105 setWatches2", -8, 105, new SetWatches2(0, List.of(), List.of(), List.of(root), List.of(root + "/n"), List.of(root)));
            w.call("101 setWatches with a null list", -8, 101, new SetWatches(0, null, List.of(), List.of()));
            w.call("2 delete with watches on it", 2, new DeleteRequest(root + "/n", -1));
            for (String path : new String[] {"", "/", null}) {
                String shown = path == null ? "null" : "'" + path + "'";
                w.call("exists " + shown, 3, new ExistsRequest(path, false));
                w.call("getData " + shown, 4, new GetDataRequest(path, false));
                w.call("getACL " + shown, 6, new GetACLRequest(path));
                w.call("getAllChildrenNumber " + shown, 104, new GetAllChildrenNumberRequest(path));
            }
            w.call("closeSession", -11, null);
            w.expectClose("afterwards");
        }
        for (int type : new int[] {0, 10, 13, 23, 99, 108, -1, -12}) {
            try (Wire w = Wire.open("W")) {
                w.call("unknown opcode " + type, type, new CheckVersionRequest(root, -1));
                w.expectClose("afterwards");
            }
        }
        try (Wire w = Wire.open("W")) {
            w.call("auth of an unknown scheme", -4, 100, new AuthPacket(0, "nonsense", Matrix.b("x")));
            w.expectClose("afterwards");
        }
        try (Wire w = Wire.open("W")) {
            w.call("102 sasl of null", 102, new GetSASLRequest(null));
        }
        ZooKeeperAdmin admin = new ZooKeeperAdmin(Matrix.server, 30000, e -> { });
        try (Client a = new Client("A")) {
            a.say("reconfigure by the admin client", () -> Transcript.data(admin.reconfigure("server.9=127.0.0.1:1:2;3", null, null, -1, null)));
        }
        admin.close();
    }

    static void malformed(String root) throws Exception {
        int[] types = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 16, 17, 18, 19, 21, 22, 101, 103, 104, 105, 106, 107};
        try (Wire w = Wire.open("W")) {
            for (int type : types) {
                w.call("opcode " + type + " without a body", type, null);
                w.call("opcode " + type + " with a negative length", type, new byte[] {-1, -1, -1, -2, 0, 0, 0, 0});
                w.call("opcode " + type + " with a huge length", type, new byte[] {127, -1, -1, -1, 0, 0, 0, 0});
            }
            byte[] request = Wire.bytes(new ExistsRequest(root, false));
            w.call("bytes behind the request are ignored", 3, java.util.Arrays.copyOf(request, request.length + 9));
            request[request.length - 1] = 7;
            w.call("any byte but 0 is true", 3, request);
            w.call("setData fires that watch", 5, new SetDataRequest(root, null, -1));
            w.call("an ACL count of 2^31-1", 1, concat(Wire.bytes(new DeleteRequest(root + "/x", -1)), new byte[] {127, -1, -1, -1}));
            w.call("a negative ACL count", 1, concat(Wire.bytes(new DeleteRequest(root + "/x", -1)), new byte[] {-1, -1, -1, -5, 0, 0, 0, 0}));
            w.call("a bad UTF-8 path", 3, new byte[] {0, 0, 0, 3, '/', (byte) 0xff, (byte) 0xc3, 0});
        }
        Object[][] frames = {
            {"a frame of length 0", new byte[] {0, 0, 0, 0}}, {"a frame of length 4", new byte[] {0, 0, 0, 4, 0, 0, 0, 1}},
            {"a frame of length -1", new byte[] {-1, -1, -1, -1}}, {"a frame of length 2^31-1", new byte[] {127, -1, -1, -1, 0, 0}},
            {"a frame above jute.maxbuffer", ByteBuffer.allocate(4).putInt(0x100000).array()}, {"ruok in the middle of a session", Matrix.b("ruok")},
        };
        for (Object[] frame : frames) {
            try (Wire w = Wire.open("W")) {
                w.raw((byte[]) frame[1]);
                w.expectClose((String) frame[0]);
            }
        }
        Object[][] openings = {
            {"a connect request of length 0", new byte[] {0, 0, 0, 0}}, {"a connect request that is too short", new byte[] {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}},
            {"a request before the connect request", concat(ByteBuffer.allocate(4).putInt(8).array(), Wire.bytes(new RequestHeader(1, 11)))},
            {"HTTP", Matrix.b("GET / HTTP/1.1\r\nHost: x\r\n\r\n")}, {"a TLS hello", new byte[] {22, 3, 1, 2, 0, 1, 0, 1, -4, 3, 3}},
            {"a password with a negative length", concat(ByteBuffer.allocate(4).putInt(28).array(), ByteBuffer.allocate(28).putInt(24, -2).array())},
        };
        for (Object[] opening : openings) {
            try (Wire w = new Wire("W")) {
                w.raw((byte[]) opening[1]);
                w.expectClose((String) opening[0]);
            }
        }
        try (Client a = new Client("A")) {
            a.say("the server is well", () -> Transcript.names(a.zk.getChildren(root, false)));
        }
    }

    private static byte[] concat(byte[] a, byte[] b) {
        return ByteBuffer.allocate(a.length + b.length).put(a).put(b).array();
    }

    /** Many requests of several sessions on their way at once: each session's replies come in its order and see its own writes. */
    static void pipeline(String root) throws Exception {
        try (Client a = new Client("A"); Client b = new Client("B"); Client c = new Client("C")) {
            for (Client client : List.of(a, b, c)) {
                String n = root + "/" + client.name;
                int rounds = 300;
                CountDownLatch done = new CountDownLatch(rounds * 4);
                ConcurrentLinkedQueue<String> replies = new ConcurrentLinkedQueue<>();
                client.zk.create(n, null, Matrix.OPEN, CreateMode.PERSISTENT);
                for (int i = 0; i < rounds; i++) {
                    int version = i;
                    client.zk.setData(n, Matrix.b("v" + i), i, (rc, p, x, s) -> {
                        replies.add(rc == 0 && s.getVersion() == version + 1 ? "" : "setData " + version + " gave " + Code.get(rc));
                        done.countDown();
                    }, null);
                    client.zk.getData(n, false, (rc, p, x, d, s) -> {
                        replies.add(rc == 0 && new String(d).equals("v" + version) && s.getVersion() == version + 1 ? "" : "getData " + version + " saw another write");
                        done.countDown();
                    }, null);
                    client.zk.create(n + "/" + i, null, Matrix.OPEN, CreateMode.EPHEMERAL, (rc, p, x, name) -> {
                        replies.add(rc == 0 ? "" : "create " + version + " gave " + Code.get(rc));
                        done.countDown();
                    }, null);
                    client.zk.getChildren(n, false, (int rc, String p, Object x, List<String> children) -> {
                        replies.add(rc == 0 && children.size() == version + 1 ? "" : "getChildren " + version + " saw " + children);
                        done.countDown();
                    }, null);
                }
                boolean all = done.await(60, TimeUnit.SECONDS);
                List<String> wrong = replies.stream().filter(s -> !s.isEmpty()).toList();
                Transcript.line(client.name + "    sent " + rounds * 4 + " requests at once ---- " + (all ? "all answered" : "answers are missing") + ", wrong: " + wrong);
                client.say("exists", () -> client.zk.exists(n, false));
            }
        }
        try (Client a = new Client("A")) {
            a.say("children", () -> Transcript.names(a.zk.getChildren(root + "/A", false)) + Transcript.names(a.zk.getChildren(root, false)));
            a.say("exists A", () -> a.zk.exists(root + "/A", false));
        }
    }
}
