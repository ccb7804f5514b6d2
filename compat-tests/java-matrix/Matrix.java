import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/**
 * Everything the public Java client can ask of a server, told as a transcript: Matrix HOST:PORT [section...].
 * Each section starts on a fresh node /m-SECTION; zxids are counted from its creation. Needs a fresh server.
 */
public final class Matrix {
    interface Story {
        void tell(String root) throws Exception;
    }

    static final List<ACL> OPEN = Ids.OPEN_ACL_UNSAFE;
    static String server;

    private Matrix() {
    }

    public static void main(String[] args) throws Exception {
        server = args[0];
        List<String> only = List.of(args).subList(1, args.length);
        try {
            for (Object[] section : SECTIONS) {
                String name = (String) section[0];
                if (only.isEmpty() || only.contains(name)) {
                    tell(name, (Story) section[1]);
                }
            }
        } catch (Throwable t) {
            Transcript.line("ENDED BY " + t);
            t.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
        Runtime.getRuntime().halt(0);
    }

    private static final Object[][] SECTIONS = {
        {"fresh", (Story) NodeStories::fresh},
        {"modes", (Story) NodeStories::modes},
        {"data", (Story) NodeStories::data},
        {"children", (Story) NodeStories::children},
        {"sequence", (Story) NodeStories::sequence},
        {"paths", (Story) NodeStories::paths},
        {"precedence", (Story) NodeStories::precedence},
        {"chroot", (Story) NodeStories::chroot},
        {"acl", (Story) AclStories::schemes},
        {"permissions", (Story) AclStories::permissions},
        {"auth", (Story) AclStories::auth},
        {"watches", (Story) WatchStories::oneShot},
        {"persistent", (Story) WatchStories::persistent},
        {"removal", (Story) WatchStories::removal},
        {"filter", (Story) WatchStories::filter},
        {"order", (Story) WatchStories::order},
        {"reconnect", (Story) WatchStories::reconnect},
        {"multi", (Story) MultiStories::writes},
        {"multi-failures", (Story) MultiStories::failures},
        {"multi-read", (Story) MultiStories::reads},
        {"quota", (Story) QuotaStories::quota},
        {"sessions", (Story) SessionStories::sessions},
        {"handshake", (Story) SessionStories::handshake},
        {"expiry", (Story) SessionStories::expiry},
        {"opcodes", (Story) WireStories::opcodes},
        {"malformed", (Story) WireStories::malformed},
        {"pipeline", (Story) WireStories::pipeline},
        {"containers", (Story) QuotaStories::containersAndTtl},
        {"restart", (Story) SessionStories::restart},
    };

    private static void tell(String name, Story story) throws Exception {
        String root = "/m-" + name;
        Stat stat = new Stat();
        try (Client setup = new Client("setup")) {
            setup.zk.create(root, null, OPEN, CreateMode.PERSISTENT, stat);
        }
        // How often the server tries to remove a container is its own business, and each try takes a zxid.
        Transcript.section(name, name.equals("containers") ? 0 : stat.getCzxid());
        story.tell(root);
    }

    static byte[] b(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static List<ACL> acl(int perms, String scheme, String id) {
        return java.util.Collections.singletonList(new ACL(perms, new Id(scheme, id)));   // List.of refuses contains(null), which the client asks
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void until(String what, int seconds, Condition condition) throws Exception {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        while (!condition.holds()) {
            if (System.nanoTime() > end) {
                Transcript.line("waited " + seconds + " s in vain until " + what);
                return;
            }
            Thread.sleep(50);
        }
        Transcript.line("and so it comes that " + what);
    }
}
