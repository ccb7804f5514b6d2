import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.proto.ConnectRequest;
import org.apache.zookeeper.proto.ExistsRequest;

/** Sessions: handshakes, resuming and moving with the password, expiry, and a restart of the server. */
final class SessionStories {
    private SessionStories() {
    }

    static void sessions(String root) throws Exception {
        try (Client b = new Client("B"); Relay relay = new Relay(Matrix.server)) {
            Client a = new Client("A", relay.address(), 30000);
            a.say("an ephemeral node", () -> a.zk.create(root + "/e", null, Matrix.OPEN, CreateMode.EPHEMERAL));
            relay.down();
            Transcript.line("A    is cut off ---- " + a.await(KeeperState.Disconnected));
            b.say("exists e", () -> b.zk.exists(root + "/e", false));
            try (Client a2 = new Client("A2", Matrix.server, 30000, a.zk.getSessionId(), a.zk.getSessionPasswd())) {
                Transcript.line("A2   resumes the session of A with its password ---- " + (a2.zk.getSessionId() == a.zk.getSessionId()));
                a2.say("getEphemerals", () -> Transcript.names(a2.zk.getEphemerals()));
                a2.say("another ephemeral node", () -> a2.zk.create(root + "/e2", null, Matrix.OPEN, CreateMode.EPHEMERAL));
                b.say("exists e2", () -> b.zk.exists(root + "/e2", false));
            }
            Transcript.line("A2   closes the session");
            b.say("children", () -> Transcript.names(b.zk.getChildren(root, false)) + " {" + Transcript.stat(b.zk.exists(root, false)) + "}");
            relay.up();
            Transcript.line("A    is back, but its session is not ---- " + a.await(KeeperState.SyncConnected, KeeperState.Expired));
            a.say("exists", () -> a.zk.exists(root, false));
            a.close();
            Client c = new Client("C", Matrix.server, 30000, b.zk.getSessionId(), new byte[16]);
            Transcript.line("C    tries the session of B with a wrong password ---- " + (c.zk.getState().isAlive() ? "alive" : "expired"));
            c.close();
            Transcript.line("B    is cut off by that and comes back ---- " + b.await(KeeperState.Disconnected) + " " + b.await(KeeperState.SyncConnected, KeeperState.Expired));
            b.say("exists", () -> b.zk.exists(root, false));
        }
    }

    static void handshake(String root) throws Exception {
        for (int timeout : new int[] {-1, 0, 1, 1999, 2000, 4001, 60000, 60001, Integer.MAX_VALUE}) {
            try (Wire w = new Wire("W")) {
                w.connect("new session, timeout " + timeout, new ConnectRequest(0, 0, timeout, 0, new byte[16], false), true);
                w.call("closeSession", -11, null);
                w.expectClose("afterwards");
            }
        }
        try (Wire w = new Wire("W")) {
            w.connect("the old form, without read-only", new ConnectRequest(0, 0, 30000, 0, new byte[16], false), false);
        }
        try (Wire w = new Wire("W")) {
            w.connect("read-only is fine for a server that serves", new ConnectRequest(0, 0, 30000, 0, new byte[16], true), true);
        }
        try (Wire w = new Wire("W")) {
            w.connect("protocol version 7, null password", new ConnectRequest(7, 0, 30000, 0, null, false), true);
        }
        try (Wire w = new Wire("W")) {
            w.connect("a zxid of the far future", new ConnectRequest(0, Long.MAX_VALUE, 30000, 0, new byte[16], false), true);
        }
        try (Wire w = new Wire("W")) {
            w.connect("a negative zxid", new ConnectRequest(0, -1, 30000, 0, new byte[16], false), true);
        }
        try (Wire w = new Wire("W")) {
            w.connect("a session that never was", new ConnectRequest(0, 0, 30000, 0x12345678L, new byte[16], false), true);
            w.expectClose("afterwards");
        }
        try (Wire w = Wire.open("W1"); Wire w2 = new Wire("W2"); Wire w3 = new Wire("W3"); Wire w4 = new Wire("W4")) {
            long id = w.session.getSessionId();
            byte[] password = w.session.getPasswd();
            w.call("create an ephemeral node", 1, new org.apache.zookeeper.proto.CreateRequest(root + "/e", null, Matrix.OPEN, 1));
            w2.connect("the session moves to another connection", new ConnectRequest(0, 0, 9000, id, password, false), true);
            w.expectClose("the first connection");
            w2.call("exists e", 3, new ExistsRequest(root + "/e", false));
            w3.connect("a wrong password", new ConnectRequest(0, 0, 30000, id, new byte[16], false), true);
            w3.expectClose("afterwards");
            w2.expectClose("the good connection");
            w4.connect("the session is still there", new ConnectRequest(0, 0, 30000, id, password, true), true);
            w4.call("exists e", 3, new ExistsRequest(root + "/e", false));
            w4.call("closeSession", -11, null);
            w4.expectClose("afterwards");
            try (Wire w5 = new Wire("W5")) {
                w5.connect("a closed session", new ConnectRequest(0, 0, 30000, id, password, false), true);
                w5.expectClose("afterwards");
            }
        }
        try (Client b = new Client("B")) {
            b.say("children", () -> Transcript.names(b.zk.getChildren(root, false)));
        }
    }

    static void expiry(String root) throws Exception {
        try (Client b = new Client("B"); Relay relay = new Relay(Matrix.server)) {
            b.zk.addWatch(root, b.watcher("recursive"), org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE);
            b.say("exists, to hear of the children", () -> Transcript.names(b.zk.getChildren(root, b.watcher("child"))));
            Client a = new Client("A", relay.address(), 3000);
            a.say("an ephemeral node", () -> a.zk.create(root + "/e", null, Matrix.OPEN, CreateMode.EPHEMERAL));
            b.events();
            b.say("getChildren with a watch", () -> Transcript.names(b.zk.getChildren(root, b.watcher("child"))));
            Thread.sleep(5000);
            b.say("pings keep the session alive beyond its timeout", () -> b.zk.exists(root + "/e", false));
            long start = System.nanoTime();
            relay.down();
            Transcript.line("A    is cut off ---- " + a.await(KeeperState.Disconnected));
            Matrix.until("the ephemeral node is gone", 30, () -> b.zk.exists(root + "/e", false) == null);
            long took = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
            // Between the last ping, at most a third of the timeout ago, plus the timeout, and one tick later.
            Transcript.line("that took " + (took >= 1500 && took <= 6000 ? "the session's timeout, give or take" : took + " ms"));
            b.events();
            relay.up();
            Transcript.line("A    comes back too late ---- " + a.await(KeeperState.SyncConnected, KeeperState.Expired));
            a.close();
        }
    }

    /** ZK_RESTART_CMD stops the server and starts it again on the same data. */
    static void restart(String root) throws Exception {
        String command = System.getenv("ZK_RESTART_CMD");
        if (command == null) {
            throw new IllegalStateException("ZK_RESTART_CMD is not set");
        }
        try (Client a = new Client("A")) {
            a.say("a node", () -> a.zk.create(root + "/n", Matrix.b("kept"), Matrix.acl(31, "digest", "bob:hash"), CreateMode.PERSISTENT));
            a.say("an ephemeral node", () -> a.zk.create(root + "/e", Matrix.b("kept"), Matrix.OPEN, CreateMode.EPHEMERAL));
            a.say("a sequential node", () -> a.zk.create(root + "/s-", null, Matrix.OPEN, CreateMode.PERSISTENT_SEQUENTIAL));
            a.say("getData with a watch", () -> Transcript.data(a.zk.getData(root + "/e", a.watcher("data"), null)));
            a.say("exists with a watch", () -> a.zk.exists(root + "/later", a.watcher("exists")) == null ? "absent" : "there");
            Wire w = Wire.open("W");
            w.call("create an ephemeral node", 1, new org.apache.zookeeper.proto.CreateRequest(root + "/w", null, Matrix.OPEN, 1));
            Process p = new ProcessBuilder("bash", "-c", command).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
            if (p.waitFor() != 0) {
                throw new IllegalStateException("the server did not restart");
            }
            Transcript.line("the server restarts");
            w.expectClose("the connection");
            Transcript.line("A    is back ---- " + a.await(KeeperState.Disconnected) + " " + a.await(KeeperState.SyncConnected, KeeperState.Expired));
            try (Client b = new Client("B")) {
                for (String path : new String[] {"", "/n", "/e", "/w"}) {
                    b.say("exists " + root + path, () -> b.zk.exists(root + path, false));
                }
                b.say("getACL", () -> Transcript.acl(b.zk.getACL(root + "/e", new org.apache.zookeeper.data.Stat())));
                b.say("a sequential node", () -> b.zk.create(root + "/s-", null, Matrix.OPEN, CreateMode.PERSISTENT_SEQUENTIAL));
                b.say("setData e", () -> b.zk.setData(root + "/e", null, 0));
                b.say("create later", () -> b.zk.create(root + "/later", null, Matrix.OPEN, CreateMode.PERSISTENT));
                a.events();
                try (Wire w2 = new Wire("W2")) {
                    w2.connect("W's session resumes with its password", new ConnectRequest(0, 0, 30000, w.session.getSessionId(), w.session.getPasswd(), false), true);
                    w2.call("closeSession", -11, null);
                }
                b.say("children", () -> Transcript.names(b.zk.getChildren(root, false)));
            }
        }
    }
}
