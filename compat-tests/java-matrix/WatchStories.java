import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.proto.CheckWatchesRequest;

/** Watches of every kind, the order of their events, and what a client hears that was away. */
final class WatchStories {
    private WatchStories() {
    }

    private static void create(Client c, String path) throws Exception {
        c.say("create " + path, () -> c.zk.create(path, null, Matrix.OPEN, CreateMode.PERSISTENT));
    }

    private static void set(Client c, String path) throws Exception {
        c.say("setData " + path, () -> Transcript.zxid(c.zk.setData(path, Matrix.b("new"), -1).getMzxid()));
    }

    private static void delete(Client c, String path) throws Exception {
        c.say("delete " + path, () -> {
            c.zk.delete(path, -1);
            return null;
        });
    }

    private static void exists(Client c, String path, String by) throws Exception {
        c.say("exists " + path + " with a watch", () -> c.zk.exists(path, c.watcher(by)) == null ? "absent" : "there");
    }

    private static void getData(Client c, String path, String by) throws Exception {
        c.say("getData " + path + " with a watch", () -> Transcript.data(c.zk.getData(path, c.watcher(by), null)));
    }

    private static void getChildren(Client c, String path, String by) throws Exception {
        c.say("getChildren " + path + " with a watch", () -> Transcript.names(c.zk.getChildren(path, c.watcher(by))));
    }

    private static void addWatch(Client c, String path, AddWatchMode mode, Watcher watcher) throws Exception {
        c.say("addWatch " + path + " " + mode, () -> {
            c.zk.addWatch(path, watcher, mode);
            return null;
        });
    }

    static void oneShot(String root) throws Exception {
        String n = root + "/n";
        try (Client a = new Client("A"); Client b = new Client("B")) {
            exists(a, n, "exists");
            getData(a, n, "never registered: no such node");
            getChildren(a, n, "never registered: no such node");
            getChildren(a, root, "child of root");
            create(b, n);
            a.events();
            create(b, n + "/x");
            a.events();
            exists(a, n, "exists");
            getData(a, n, "data");
            getChildren(a, n, "child");
            set(b, n);
            a.events();
            set(b, n);
            a.events();
            create(b, n + "/y");
            delete(b, n + "/y");
            a.events();
            for (String by : List.of("data 1", "data 2")) {
                getData(a, n + "/x", by);
            }
            exists(a, n + "/x", "exists");
            getChildren(a, n + "/x", "child");
            getChildren(a, n, "child of n");
            delete(b, n + "/x");
            a.events();
            exists(a, n + "/x", "exists");
            getChildren(a, n, "child of n");
            b.say("setACL changes nothing for watches", () -> Transcript.zxid(b.zk.setACL(n, Matrix.OPEN, -1).getMzxid()));
            b.say("a failed create neither", () -> b.zk.create(n + "/no/x", null, Matrix.OPEN, CreateMode.PERSISTENT));
            a.events();
            b.say("a container", () -> b.zk.create(n + "/x", null, Matrix.OPEN, CreateMode.CONTAINER));
            a.events();
            a.say("the default watcher", () -> Transcript.data(a.zk.getData(n, true, null)));
            exists(a, n, "exists");
            set(a, n);
            a.events();
            exists(a, n, "of the closed client");
        }
    }

    static void persistent(String root) throws Exception {
        String n = root + "/n";
        for (AddWatchMode mode : AddWatchMode.values()) {
            try (Client a = new Client("A"); Client b = new Client("B")) {
                addWatch(a, n, mode, a.watcher(mode.name()));
                create(b, n);
                set(b, n);
                set(b, n);
                create(b, n + "/x");
                create(b, n + "/x/y");
                set(b, n + "/x");
                set(b, n + "/x/y");
                b.say("create " + n + "/e, ephemeral", () -> b.zk.create(n + "/e", null, Matrix.OPEN, CreateMode.EPHEMERAL));
                create(b, n + "nn");
                delete(b, n + "nn");
                a.events();
                delete(b, n + "/x/y");
                delete(b, n + "/x");
                b.close();
                Transcript.line("B closes its session");
                a.events();
                a.say("delete n", () -> {
                    a.zk.delete(n, -1);
                    return null;
                });
                create(a, n);
                delete(a, n);
                a.events();
            }
        }
        try (Client a = new Client("A"); Client b = new Client("B")) {
            Transcript.line("all kinds on one node");
            create(b, n);
            addWatch(a, n, AddWatchMode.PERSISTENT, a.watcher("persistent"));
            addWatch(a, n, AddWatchMode.PERSISTENT_RECURSIVE, a.watcher("recursive"));
            addWatch(a, root, AddWatchMode.PERSISTENT_RECURSIVE, a.watcher("recursive above"));
            addWatch(a, "/", AddWatchMode.PERSISTENT_RECURSIVE, a.watcher("recursive at the root"));
            getData(a, n, "data");
            exists(a, n, "exists");
            getChildren(a, n, "child");
            create(b, n + "/x");
            set(b, n);
            set(b, n + "/x");
            delete(b, n + "/x");
            delete(b, n);
            a.events();
        }
    }

    static void removal(String root) throws Exception {
        String n = root + "/n";
        try (Client a = new Client("A"); Client b = new Client("B")) {
            create(b, n);
            Watcher one = a.watcher("one");
            Watcher two = a.watcher("two");
            for (WatcherType type : WatcherType.values()) {
                Transcript.line("removal of " + type);
                a.say("remove what is not there", () -> {
                    a.zk.removeWatches(n, one, type, false);
                    return null;
                });
                a.zk.getData(n, one, null);
                a.zk.getChildren(n, one);
                a.zk.addWatch(n, two, AddWatchMode.PERSISTENT);
                a.zk.addWatch(n, two, AddWatchMode.PERSISTENT_RECURSIVE);
                a.say("remove the first watcher", () -> {
                    a.zk.removeWatches(n, one, type, false);
                    return null;
                });
                a.events();
                create(b, n + "/x");
                set(b, n);
                delete(b, n + "/x");
                a.events();
                a.say("remove all watchers", () -> {
                    a.zk.removeAllWatches(n, type, false);
                    return null;
                });
                a.events();
                set(b, n);
                create(b, n + "/x");
                delete(b, n + "/x");
                a.events();
                try {
                    a.zk.removeAllWatches(n, WatcherType.Any, true);
                } catch (org.apache.zookeeper.KeeperException.NoWatcherException e) {
                    // none left
                }
                a.events();
            }
        }
        try (Wire w = Wire.open("W"); Client b = new Client("B")) {
            w.call("getData with a watch", 4, new org.apache.zookeeper.proto.GetDataRequest(n, true));
            w.call("addWatch recursive", 106, new org.apache.zookeeper.proto.AddWatchRequest(n, 1));
            for (int type = 0; type <= 6; type++) {
                w.call("checkWatches type " + type, 17, new CheckWatchesRequest(n, type));
            }
            w.call("checkWatches elsewhere", 17, new CheckWatchesRequest(root, 3));
            w.call("removeWatches type 1", 18, new org.apache.zookeeper.proto.RemoveWatchesRequest(n, 1));
            w.call("removeWatches type 2", 18, new org.apache.zookeeper.proto.RemoveWatchesRequest(n, 2));
            w.call("checkWatches type 2", 17, new CheckWatchesRequest(n, 2));
            w.call("checkWatches type 5", 17, new CheckWatchesRequest(n, 5));
            w.call("addWatch mode 2", 106, new org.apache.zookeeper.proto.AddWatchRequest(n, 2));
            w.call("addWatch on what is no path", 106, new org.apache.zookeeper.proto.AddWatchRequest("nope", 0));
            set(b, n);
            w.call("exists", 3, new org.apache.zookeeper.proto.ExistsRequest("/", false));
        }
    }

    static void filter(String root) throws Exception {
        try (Client s = new Client("S"); Client a = new Client("A")) {
            s.zk.addAuthInfo("digest", Matrix.b("owner:pw"));
            addWatch(a, root, AddWatchMode.PERSISTENT_RECURSIVE, a.watcher("recursive"));
            exists(a, root + "/shut", "exists");
            s.say("create what A may not read", () -> s.zk.create(root + "/shut", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            set(s, root + "/shut");
            a.events();
            s.say("open it", () -> Transcript.zxid(s.zk.setACL(root + "/shut", Matrix.OPEN, -1).getCzxid()));
            set(s, root + "/shut");
            getData(a, root + "/shut", "data");
            s.say("shut it", () -> Transcript.zxid(s.zk.setACL(root + "/shut", Ids.CREATOR_ALL_ACL, -1).getCzxid()));
            set(s, root + "/shut");
            a.events();
            delete(s, root + "/shut");
            a.events();
            a.say("the right comes later", () -> {
                a.zk.addAuthInfo("digest", Matrix.b("owner:pw"));
                return Transcript.clients(a.zk.whoAmI());
            });
            s.say("create again", () -> s.zk.create(root + "/shut", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            delete(s, root + "/shut");
            a.events();
        }
    }

    /** Events and replies of one connection in the order of arrival. */
    static void order(String root) throws Exception {
        try (Client a = new Client("A"); Client b = new Client("B")) {
            addWatch(a, root, AddWatchMode.PERSISTENT_RECURSIVE, a.watcher("recursive"));
            CountDownLatch done = new CountDownLatch(9);
            String n = root + "/n";
            a.zk.exists(n, a.watcher("exists"), (rc, p, c, s) -> reply(a, done, "exists", rc, s == null ? -1 : s.getVersion()), null);
            a.zk.create(n, null, Matrix.OPEN, CreateMode.PERSISTENT, (rc, p, c, name) -> reply(a, done, "create", rc, 0), null);
            a.zk.getData(n, a.watcher("data"), (rc, p, c, d, s) -> reply(a, done, "getData", rc, s.getVersion()), null);
            a.zk.setData(n, Matrix.b("1"), 0, (rc, p, c, s) -> reply(a, done, "setData", rc, s.getVersion()), null);
            a.zk.getData(n, a.watcher("data again"), (rc, p, c, d, s) -> reply(a, done, "getData", rc, s.getVersion()), null);
            a.zk.setData(n, Matrix.b("2"), 0, (rc, p, c, s) -> reply(a, done, "setData at an old version", rc, -1), null);
            a.zk.setData(n, Matrix.b("3"), 1, (rc, p, c, s) -> reply(a, done, "setData", rc, s.getVersion()), null);
            a.zk.delete(n, 2, (rc, p, c) -> reply(a, done, "delete", rc, 0), null);
            a.zk.exists(n, a.watcher("exists after"), (rc, p, c, s) -> reply(a, done, "exists", rc, -1), null);
            if (!done.await(30, TimeUnit.SECONDS)) {
                throw new IllegalStateException("replies are missing");
            }
            a.events();
            Transcript.line("a multi, seen by a recursive watch and by one-shot watches");
            exists(a, root + "/m1", "exists m1");
            getChildren(a, root, "child of root");
            b.say("multi", () -> Transcript.results(b.zk.multi(List.of(Op.create(root + "/m1", null, Matrix.OPEN, CreateMode.PERSISTENT),
                    Op.setData(root + "/m1", Matrix.b("1"), 0), Op.create(root + "/m2", null, Matrix.OPEN, CreateMode.PERSISTENT), Op.check(root, -1),
                    Op.delete(root + "/m1", 1)))));
            a.events();
            b.say("a multi that fails", () -> b.zk.multi(List.of(Op.create(root + "/m3", null, Matrix.OPEN, CreateMode.PERSISTENT), Op.check(root + "/no", -1))));
            a.events();
            Transcript.line("a session that ends");
            b.say("an ephemeral node", () -> b.zk.create(root + "/e", null, Matrix.OPEN, CreateMode.EPHEMERAL));
            getData(a, root + "/e", "data of e");
            getChildren(a, root, "child of root");
            b.close();
            a.events();
        }
    }

    private static void reply(Client c, CountDownLatch done, String what, int rc, int version) {
        c.note("reply " + what + " " + org.apache.zookeeper.KeeperException.Code.get(rc) + (version < 0 ? "" : " version " + version));
        done.countDown();
    }

    /** What changed while a client was away reaches it by setWatches, and what did not stays watched. */
    static void reconnect(String root) throws Exception {
        for (boolean withPersistent : new boolean[] {false, true}) {
            String n = root + (withPersistent ? "/p" : "/s");
            Transcript.line(withPersistent ? "with persistent watches: setWatches2" : "without persistent watches: setWatches");
            try (Relay relay = new Relay(Matrix.server); Client b = new Client("B"); Client a = new Client("A", relay.address(), 30000)) {
                a.zk.addAuthInfo("digest", Matrix.b("owner:pw"));
                for (String x : List.of("", "/set", "/deleted", "/parent", "/same", "/recreated", "/parent2")) {
                    create(b, n + x);
                }
                a.say("a node of its own", () -> a.zk.create(n + "/mine", null, Ids.CREATOR_ALL_ACL, CreateMode.EPHEMERAL));
                for (String x : List.of("/set", "/deleted", "/same", "/recreated")) {
                    getData(a, n + x, "data of " + x);
                }
                for (String x : List.of("/parent", "/parent2", "/same", "/deleted")) {
                    getChildren(a, n + x, "child of " + x);
                }
                for (String x : List.of("/created", "/never", "/came-and-went")) {
                    exists(a, n + x, "exists of " + x);
                }
                if (withPersistent) {
                    addWatch(a, n + "/set", AddWatchMode.PERSISTENT, a.watcher("persistent at /set"));
                    addWatch(a, n, AddWatchMode.PERSISTENT_RECURSIVE, a.watcher("recursive"));
                }
                a.events();
                relay.down();
                Transcript.line("A    is cut off ---- " + a.await(KeeperState.Disconnected));
                set(b, n + "/set");
                delete(b, n + "/deleted");
                create(b, n + "/parent/x");
                create(b, n + "/created");
                delete(b, n + "/recreated");
                create(b, n + "/recreated");
                create(b, n + "/came-and-went");
                delete(b, n + "/came-and-went");
                b.say("the ephemeral node is still there", () -> b.zk.exists(n + "/mine", false));
                relay.up();
                Transcript.line("A    is back ---- " + a.await(KeeperState.SyncConnected, KeeperState.Expired));
                a.say("its identity is back too", () -> Transcript.data(a.zk.getData(n + "/mine", false, null)));
                a.events();
                for (String x : List.of("/set", "/same", "/recreated")) {
                    set(b, n + x);
                }
                create(b, n + "/same/x");
                create(b, n + "/parent/y");
                create(b, n + "/parent2/x");
                create(b, n + "/never");
                create(b, n + "/came-and-went");
                a.events();
            }
        }
    }
}
