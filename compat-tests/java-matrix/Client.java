import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** One named session of the public client: its calls and what its watches heard go to the transcript. */
final class Client implements AutoCloseable {
    interface Call {
        Object run() throws Exception;
    }

    final String name;
    final ZooKeeper zk;
    private final List<String> heard = new ArrayList<>();
    private final List<KeeperState> states = new ArrayList<>();

    Client(String name) throws Exception {
        this(name, Matrix.server, 30000);
    }

    Client(String name, String connect, int timeout) throws Exception {
        this(name, connect, timeout, 0, null);
    }

    /** A session of its own, or with an id and a password one that exists. */
    Client(String name, String connect, int timeout, long session, byte[] password) throws Exception {
        this.name = name;
        Watcher watcher = e -> {
            if (e.getType() == EventType.None) {
                reached(e.getState());
            } else {
                event("default watcher", e);
            }
        };
        zk = session == 0 ? new ZooKeeper(connect, timeout, watcher)
                : new ZooKeeper(connect, timeout, watcher, session, password);
        await(KeeperState.SyncConnected, KeeperState.Expired);
        if (session == 0) {
            Transcript.nameSession(zk.getSessionId(), "session-of-" + name);
        }
    }

    private synchronized void reached(KeeperState state) {
        states.add(state);
        notifyAll();
    }

    /** Waits until one of the states was reached since the last await, and forgets what came before it. */
    synchronized KeeperState await(KeeperState... wanted) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (true) {
            for (int i = 0; i < states.size(); i++) {
                for (KeeperState w : wanted) {
                    if (states.get(i) == w) {
                        states.subList(0, i + 1).clear();
                        return w;
                    }
                }
            }
            long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            if (left <= 0) {
                throw new IllegalStateException(name + " did not become " + List.of(wanted) + ", but " + states);
            }
            wait(left);
        }
    }

    private void event(String by, org.apache.zookeeper.WatchedEvent e) {
        note("event " + e.getType() + " " + e.getPath() + " zxid " + Transcript.zxid(e.getZxid()) + (by == null ? "" : " (" + by + ")"));
    }

    /** A watcher of its own identity; connection states are the default watcher's business. */
    Watcher watcher(String by) {
        return e -> {
            if (e.getType() != EventType.None) {
                event(by, e);
            }
        };
    }

    synchronized void note(String what) {
        heard.add(what);
    }

    /** Performs a call and writes down what came back. */
    void say(String what, Call call) throws Exception {
        String answer;
        try {
            Object result = call.run();
            answer = result == null ? "ok" : result instanceof Stat s ? Transcript.stat(s) : result.toString();
        } catch (KeeperException | IllegalArgumentException e) {
            answer = Transcript.error(e);
        }
        Transcript.line(String.format("%-4s %-58s ---- %s", name, what, answer));
    }

    /** Writes down all that was heard until now: the server has answered a sync and the client has handed out all events before it. */
    void events() throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        zk.sync("/", (rc, path, ctx) -> done.countDown(), null);
        if (!done.await(30, TimeUnit.SECONDS)) {
            throw new IllegalStateException(name + ": no answer to sync");
        }
        List<String> now;
        synchronized (this) {
            now = new ArrayList<>(heard);
            heard.clear();
        }
        // The client tells the several watchers of one event in the order of their hash codes, which is no business of the server.
        for (int from = 0, to; from < now.size(); from = to) {
            String event = now.get(from).replaceFirst(" \\(.*", "");
            to = from + 1;
            while (to < now.size() && now.get(to).startsWith(event + " (")) {
                to++;
            }
            now.subList(from, to).sort(null);
        }
        if (now.isEmpty()) {
            Transcript.line(String.format("%-4s hears nothing", name));
        }
        for (String s : now) {
            Transcript.line(String.format("%-4s hears %s", name, s));
        }
    }

    @Override
    public void close() throws InterruptedException {
        zk.close();
    }
}
