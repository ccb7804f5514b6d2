import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Transaction;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.proto.CreateRequest;
import org.apache.zookeeper.proto.DeleteRequest;
import org.apache.zookeeper.proto.GetDataRequest;
import org.apache.zookeeper.proto.MultiHeader;

/** Several operations in one request. */
final class MultiStories {
    private MultiStories() {
    }

    private static Op create(String path) {
        return Op.create(path, Matrix.b("x"), Matrix.OPEN, CreateMode.PERSISTENT);
    }

    private static void multi(Client c, String what, Op... ops) throws Exception {
        c.say(what, () -> Transcript.results(c.zk.multi(List.of(ops))));
    }

    static void writes(String root) throws Exception {
        try (Client a = new Client("A")) {
            multi(a, "no operation at all");
            for (CreateMode mode : CreateMode.values()) {
                if (mode.isTTL()) {
                    multi(a, "create " + mode, Op.create(root + "/" + mode, null, Matrix.OPEN, mode, 3_600_000));
                } else {
                    multi(a, "create " + mode, Op.create(root + "/" + mode, null, Matrix.OPEN, mode));
                }
            }
            multi(a, "create, change, check and delete", create(root + "/a"), Op.setData(root + "/a", Matrix.b("1"), 0), Op.setData(root + "/a", Matrix.b("22"), 1),
                    Op.check(root + "/a", 2), create(root + "/a/b"), Op.delete(root + "/a/b", 0), Op.delete(root + "/a", 2));
            multi(a, "parent and children", create(root + "/p"), create(root + "/p/1"), create(root + "/p/2"),
                    Op.create(root + "/p/s-", null, Matrix.OPEN, CreateMode.PERSISTENT_SEQUENTIAL), Op.create(root + "/p/s-", null, Matrix.OPEN, CreateMode.EPHEMERAL_SEQUENTIAL),
                    Op.setData(root + "/p", null, -1));
            a.say("exists p", () -> a.zk.exists(root + "/p", false));
            multi(a, "delete and create anew", Op.delete(root + "/p/1", -1), create(root + "/p/1"), Op.setData(root + "/p/1", null, 0));
            a.say("exists p/1", () -> a.zk.exists(root + "/p/1", false));
            Transaction t = a.zk.transaction();
            t.check(root, -1).create(root + "/t", null, Matrix.OPEN, CreateMode.EPHEMERAL).setData(root + "/t", Matrix.b("t"), -1);
            a.say("a Transaction", () -> Transcript.results(t.commit()));
            a.say("children", () -> Transcript.names(a.zk.getChildren(root, false)));
            List<Op> many = new ArrayList<>();
            for (int i = 0; i < 1000; i++) {
                many.add(create(root + "/p/n" + i));
            }
            a.say("a thousand creates", () -> a.zk.multi(many).size() + " results");
            a.say("exists p", () -> a.zk.exists(root + "/p", false));
        }
    }

    static void failures(String root) throws Exception {
        try (Client a = new Client("A")) {
            multi(a, "setup", create(root + "/a"), Op.create(root + "/e", null, Matrix.OPEN, CreateMode.EPHEMERAL),
                    Op.create(root + "/shut", null, Matrix.acl(16, "world", "anyone"), CreateMode.PERSISTENT));
            Op good = create(root + "/new");
            Op[] failing = {
                create(root + "/a"), create(root + "/no/parent"), create(root + "/e/x"), create(root + "/shut/x"), Op.delete(root + "/no", -1), Op.delete(root + "/a", 7),
                Op.delete(root, -1), Op.setData(root + "/no", null, -1), Op.setData(root + "/a", null, 7), Op.setData(root + "/shut", null, -1), Op.check(root + "/no", -1),
                Op.check(root + "/a", 7), Op.check(root + "/shut", -1), Op.create(root + "/x", null, Matrix.acl(31, "nonsense", ""), CreateMode.PERSISTENT),
                Op.delete("/zookeeper/config", -1),
            };
            for (Op op : failing) {
                multi(a, "fails last: " + op.getKind() + " type " + op.getType() + " " + op.getPath(), good, op);
            }
            multi(a, "fails first", Op.check(root + "/no", -1), good, create(root + "/new2"));
            multi(a, "fails in the middle, and would once more", good, Op.delete(root + "/no", -1), create(root + "/a"), good);
            multi(a, "fails by its own work", good, good);
            multi(a, "deletes what it made, then wants it", good, Op.delete(root + "/new", -1), Op.setData(root + "/new", null, -1));
            a.say("nothing was done", () -> Transcript.names(a.zk.getChildren(root, false)) + " {" + Transcript.stat(a.zk.exists(root, false)) + "}");
            a.say("a sequence number that a failed multi used", () -> a.zk.multi(List.of(Op.create(root + "/s", null, Matrix.OPEN, CreateMode.PERSISTENT_SEQUENTIAL), Op.check(root + "/no", 0))));
            a.say("  is used again", () -> a.zk.create(root + "/s", null, Matrix.OPEN, CreateMode.PERSISTENT_SEQUENTIAL));
        }
        try (Wire w = Wire.open("W")) {
            byte[] end = Wire.bytes(new MultiHeader(-1, true, -1));
            w.call("multi with nothing but the end", 14, end);
            w.call("multi without an end", 14, Wire.bytes(new MultiHeader(2, false, -1)));
            w.call("multi with an empty body", 14, new byte[0]);
            for (int type : new int[] {0, 3, 4, 7, 8, 12, 16, 19, 20, 22}) {
                w.call("multi with a delete and type " + type, 14, join(Wire.bytes(new MultiHeader(2, false, -1)), Wire.bytes(new DeleteRequest(root + "/zz", -1)),
                        Wire.bytes(new MultiHeader(type, false, -1)), Wire.bytes(new CreateRequest(root + "/q" + type, null, Matrix.OPEN, 0)), end));
            }
            for (int flags = 0; flags <= 7; flags++) {
                for (int type : new int[] {1, 15, 19}) {
                    w.call("multi of type " + type + " with flags " + flags, 14, join(Wire.bytes(new MultiHeader(type, false, -1)),
                            Wire.bytes(new CreateRequest(root + "/t" + type + "f" + flags, null, Matrix.OPEN, flags)), end));
                }
            }
            w.call("only reads in a multi", 14, join(Wire.bytes(new MultiHeader(4, false, -1)), Wire.bytes(new GetDataRequest(root, false)), end));
            w.call("a write in a multiRead", 22, join(Wire.bytes(new MultiHeader(2, false, -1)), Wire.bytes(new DeleteRequest(root + "/a", -1)), end));
            w.call("exists in a multiRead", 22, join(Wire.bytes(new MultiHeader(3, false, -1)), Wire.bytes(new GetDataRequest(root, false)), end));
            w.call("an empty multiRead", 22, end);
            w.call("a multiRead without an end", 22, Wire.bytes(new MultiHeader(4, false, -1)));
        }
        try (Client a = new Client("A")) {
            a.say("children", () -> Transcript.names(a.zk.getChildren(root, false)));
        }
    }

    private static byte[] join(byte[]... parts) {
        java.io.ByteArrayOutputStream all = new java.io.ByteArrayOutputStream();
        for (byte[] part : parts) {
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    static void reads(String root) throws Exception {
        try (Client a = new Client("A")) {
            multi(a, "setup", Op.create(root + "/a", Matrix.b("1"), Matrix.OPEN, CreateMode.PERSISTENT), Op.create(root + "/a/x", null, Matrix.OPEN, CreateMode.PERSISTENT),
                    Op.create(root + "/shut", null, Matrix.acl(16, "world", "anyone"), CreateMode.PERSISTENT));
            multi(a, "multi-read", Op.getData(root + "/a"), Op.getChildren(root + "/a"), Op.getData(root + "/a/x"), Op.getChildren(root + "/a/x"));
            multi(a, "multi-read with failures", Op.getData(root + "/no"), Op.getData(root + "/a"), Op.getChildren(root + "/no"), Op.getData(root + "/shut"),
                    Op.getChildren(root + "/shut"), Op.getChildren(root));
            a.say("reads and writes together", () -> Transcript.results(a.zk.multi(List.of(Op.getData(root + "/a"), create(root + "/b")))));
            a.say("exists", () -> Transcript.stat(a.zk.exists(root, false)));
            a.say("setData", () -> Transcript.stat(a.zk.setData(root, null, -1)));
            Stat unused = new Stat();
            a.say("no zxid was used by reads", () -> Transcript.data(a.zk.getData(root, false, unused)) + " m" + Transcript.zxid(unused.getMzxid()));
        }
    }
}
