import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.proto.SetACLRequest;

/** Access: which ids a server takes, what each permission opens, and identities. */
final class AclStories {
    // The digest of "super:secret", given to the server as its super user; see run.sh.
    static final String SUPER = "super:secret";

    private AclStories() {
    }

    static void schemes(String root) throws Exception {
        try (Client a = new Client("A"); Wire w = Wire.open("W")) {
            a.say("create", () -> a.zk.create(root + "/n", null, Matrix.OPEN, CreateMode.PERSISTENT));
            String[][] ids = {
                {"world", "anyone"}, {"world", "someone"}, {"world", ""}, {"auth", ""}, {"auth", "x"}, {"digest", "bob:hash"}, {"digest", "bob"}, {"digest", ":hash"},
                {"digest", "bob:"}, {"digest", "a:b:"}, {"digest", "a:b:c"}, {"digest", ""}, {"ip", "127.0.0.1"}, {"ip", "127.0.0.0/8"}, {"ip", "10.0.0.0/33"},
                {"ip", "10.0.0.0/-1"}, {"ip", "10.0.0.0/"}, {"ip", "10.0.0"}, {"ip", "300.0.0.1"}, {"ip", "::1"}, {"ip", "::1/64"}, {"ip", "host"}, {"super", ""},
                {"super", "x"}, {"sasl", "bob"}, {"x509", "CN=bob"}, {"unknown", "x"}, {"", ""}, {"World", "anyone"},
            };
            for (String[] id : ids) {
                a.say("setACL " + id[0] + ":" + id[1], () -> {
                    Stat stat = a.zk.setACL(root + "/n", Arrays.asList(new ACL(31, new Id(id[0], id[1])), new ACL(31, Ids.ANYONE_ID_UNSAFE)), -1);
                    return Transcript.stat(stat) + " " + Transcript.acl(a.zk.getACL(root + "/n", new Stat()));
                });
            }
            Object[][] lists = {
                {"empty", List.of()}, {"null", null}, {"null scheme", Arrays.asList(new ACL(31, new Id(null, "x")))}, {"null id", Arrays.asList(new ACL(31, new Id("world", null)))},
                {"no permissions", Arrays.asList(new ACL(0, Ids.ANYONE_ID_UNSAFE), new ACL(31, Ids.ANYONE_ID_UNSAFE))},
                {"permission bits beyond the five", Arrays.asList(new ACL(-1, Ids.ANYONE_ID_UNSAFE))},
                {"the same twice", Arrays.asList(new ACL(31, Ids.ANYONE_ID_UNSAFE), new ACL(31, Ids.ANYONE_ID_UNSAFE))},
                {"same id, other permissions", Arrays.asList(new ACL(1, Ids.ANYONE_ID_UNSAFE), new ACL(31, Ids.ANYONE_ID_UNSAFE))},
                {"bad behind good", Arrays.asList(new ACL(31, Ids.ANYONE_ID_UNSAFE), new ACL(31, new Id("nonsense", "")))},
            };
            for (Object[] list : lists) {
                @SuppressWarnings("unchecked")
                List<ACL> acl = (List<ACL>) list[1];
                w.call("setACL " + list[0], 7, new SetACLRequest(root + "/n", acl, -1));
                a.say("  getACL", () -> {
                    List<ACL> got = a.zk.getACL(root + "/n", new Stat());
                    return Transcript.acl(got) + " of " + got.stream().map(x -> String.valueOf(x.getPerms())).toList();
                });
            }
            for (int version : new int[] {0, 3, -2, -1}) {
                a.say("setACL at version " + version, () -> a.zk.setACL(root + "/n", Matrix.OPEN, version));
            }
            a.say("setACL " + root + "/missing", () -> a.zk.setACL(root + "/missing", Matrix.OPEN, -1));
            a.say("getACL " + root + "/missing", () -> a.zk.getACL(root + "/missing", new Stat()));
            a.say("exists", () -> a.zk.exists(root + "/n", false));
        }
    }

    static void permissions(String root) throws Exception {
        try (Client s = new Client("S"); Client a = new Client("A")) {
            s.zk.addAuthInfo("digest", Matrix.b(SUPER));
            s.say("whoAmI", () -> Transcript.clients(s.zk.whoAmI()));
            for (int perms : new int[] {0, 1, 2, 4, 8, 16, 3, 17, 31}) {
                String path = root + "/p" + perms;
                s.zk.create(path, Matrix.b("secret"), Matrix.acl(perms, "world", "anyone"), CreateMode.PERSISTENT);
                s.zk.create(path + "/child", null, Matrix.OPEN, CreateMode.PERSISTENT);
                List<String> answers = new ArrayList<>();
                Object[][] calls = {
                    {"exists", (Client.Call) () -> a.zk.exists(path, false)}, {"getData", (Client.Call) () -> a.zk.getData(path, false, null)},
                    {"getChildren", (Client.Call) () -> a.zk.getChildren(path, false)}, {"getAllChildrenNumber", (Client.Call) () -> a.zk.getAllChildrenNumber(path)},
                    {"getACL", (Client.Call) () -> a.zk.getACL(path, new Stat())}, {"setData", (Client.Call) () -> a.zk.setData(path, null, -1)},
                    {"create", (Client.Call) () -> a.zk.create(path + "/new", null, Matrix.OPEN, CreateMode.PERSISTENT)},
                    {"delete", (Client.Call) () -> {
                        a.zk.delete(path + "/child", -1);
                        return null;
                    }},
                    {"check", (Client.Call) () -> a.zk.multi(List.of(Op.check(path, -1)))},
                    {"multi-read", (Client.Call) () -> Transcript.results(a.zk.multi(List.of(Op.getData(path)))).contains("error") ? "no" : "yes"},
                    {"setACL", (Client.Call) () -> a.zk.setACL(path, Matrix.acl(perms, "world", "anyone"), -1)},
                };
                for (Object[] call : calls) {
                    String answer = "yes";
                    try {
                        Object result = ((Client.Call) call[1]).run();
                        answer = result instanceof String text && text.equals("no") ? "no" : answer;
                    } catch (KeeperException.NoAuthException e) {
                        answer = "no";
                    }
                    answers.add(call[0] + " " + answer);
                }
                Transcript.line("permissions " + Transcript.acl(Matrix.acl(perms, "world", "anyone")) + " ---- " + String.join(", ", answers));
                s.say("  the super user may read it", () -> Transcript.data(s.zk.getData(path, false, null)));
            }
        }
    }

    static void auth(String root) throws Exception {
        try (Client a = new Client("A"); Client b = new Client("B")) {
            a.say("create with auth: and no identity", () -> a.zk.create(root + "/x", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            a.zk.addAuthInfo("digest", Matrix.b("bob:builder"));
            a.say("whoAmI", () -> Transcript.clients(a.zk.whoAmI()));
            a.say("create with auth:", () -> a.zk.create(root + "/bob", Matrix.b("1"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            a.zk.addAuthInfo("digest", Matrix.b("eve:apple"));
            a.zk.addAuthInfo("digest", Matrix.b("bob:builder"));
            a.say("whoAmI", () -> Transcript.clients(a.zk.whoAmI()));
            a.say("create with two identities", () -> a.zk.create(root + "/both", Matrix.b("2"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            a.say("getACL", () -> Transcript.names(a.zk.getACL(root + "/both", new Stat()).stream().map(x -> Transcript.acl(List.of(x))).toList()));
            b.say("getData of a stranger", () -> Transcript.data(b.zk.getData(root + "/bob", false, null)));
            b.say("getACL of a stranger", () -> Transcript.acl(b.zk.getACL(root + "/bob", new Stat())));
            b.zk.addAuthInfo("digest", Matrix.b("bob:wrong"));
            b.say("getData with a wrong password", () -> Transcript.data(b.zk.getData(root + "/bob", false, null)));
            b.zk.addAuthInfo("digest", Matrix.b("bob:builder"));
            b.say("getData with the right one", () -> Transcript.data(b.zk.getData(root + "/bob", false, null)));
            b.say("whoAmI", () -> Transcript.clients(b.zk.whoAmI()));
            List<ACL> mixed = Arrays.asList(new ACL(1, Ids.ANYONE_ID_UNSAFE), new ACL(31, new Id("digest", "eve:hidden-hash")));
            a.say("create with readable ACL", () -> a.zk.create(root + "/mixed", null, mixed, CreateMode.PERSISTENT));
            try (Client c = new Client("C")) {
                c.say("getACL hides the hash from those without ADMIN", () -> Transcript.acl(c.zk.getACL(root + "/mixed", new Stat())));
            }
            a.say("create for this address", () -> a.zk.create(root + "/ip", null, Matrix.acl(31, "ip", "127.0.0.1"), CreateMode.PERSISTENT));
            b.say("  getData from it", () -> Transcript.data(b.zk.getData(root + "/ip", false, null)));
            a.say("create for its network", () -> a.zk.create(root + "/net", null, Matrix.acl(31, "ip", "127.0.0.0/8"), CreateMode.PERSISTENT));
            b.say("  getData from it", () -> Transcript.data(b.zk.getData(root + "/net", false, null)));
            a.say("create for another network", () -> a.zk.create(root + "/far", null, Matrix.acl(31, "ip", "10.1.0.0/16"), CreateMode.PERSISTENT));
            b.say("  getData from here", () -> Transcript.data(b.zk.getData(root + "/far", false, null)));
            b.zk.addAuthInfo("digest", Matrix.b(SUPER));
            b.say("whoAmI of the super user", () -> Transcript.clients(b.zk.whoAmI()));
            b.say("  getData of all", () -> Transcript.data(b.zk.getData(root + "/far", false, null)));
            b.say("  create with auth:", () -> b.zk.create(root + "/super", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            b.say("  getACL", () -> Transcript.names(b.zk.getACL(root + "/super", new Stat()).stream().map(x -> Transcript.acl(List.of(x))).toList()));
            try (Client c = new Client("C")) {
                c.zk.addAuthInfo("nonsense", Matrix.b("x"));
                Transcript.line("C    adds an identity of an unknown scheme ---- " + c.await(KeeperState.AuthFailed));
                c.say("exists afterwards", () -> c.zk.exists(root, false));
            }
        }
    }
}
