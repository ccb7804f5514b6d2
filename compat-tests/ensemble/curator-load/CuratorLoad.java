import java.nio.file.*;
import java.util.*;
import java.util.concurrent.atomic.*;
import org.apache.curator.framework.*;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.*;
import org.apache.zookeeper.data.Stat;

/** Writes through Curator until FILE exists, then looks whether everything is there: CuratorLoad ZK FILE. One line of JSON. */
public class CuratorLoad {
    public static void main(String[] a) throws Exception {
        Path end = Paths.get(a[1]);
        AtomicInteger lost = new AtomicInteger(), suspended = new AtomicInteger();
        CuratorFramework curator = CuratorFrameworkFactory.builder().connectString(a[0]).sessionTimeoutMs(10000)
                .connectionTimeoutMs(5000).retryPolicy(new RetryOneTime(200)).build();
        curator.getConnectionStateListenable().addListener((client, state) -> {
            if (state == ConnectionState.LOST) {
                lost.incrementAndGet();
            } else if (state == ConnectionState.SUSPENDED) {
                suspended.incrementAndGet();
            }
        });
        curator.start();
        curator.blockUntilConnected();
        long session = curator.getZookeeperClient().getZooKeeper().getSessionId();
        curator.create().withMode(CreateMode.EPHEMERAL).forPath("/curator-alive");
        curator.create().forPath("/curator");
        List<String> acknowledged = new ArrayList<>();
        Map<String, Integer> errors = new TreeMap<>();
        int number = 0, disconnected = 0;
        while (!Files.exists(end)) {
            String path = "/curator/n" + number++;
            try {
                curator.create().forPath(path, path.getBytes());
                acknowledged.add(path);
                if (number % 10 == 0) {
                    curator.setData().forPath(path, "again".getBytes());
                    curator.getChildren().forPath("/");
                }
            } catch (KeeperException.ConnectionLossException e) {
                disconnected++;
            } catch (KeeperException.NodeExistsException e) {
                // The first attempt was done though its answer was lost: Curator has tried again.
            } catch (Exception e) {
                errors.merge(String.valueOf(e.getMessage()).replaceAll("n\\d+", "n"), 1, Integer::sum);
            }
            Thread.sleep(2);
        }
        Set<String> there = new HashSet<>();
        Stat alive = null;
        for (int attempt = 0; ; attempt++) {
            try {
                curator.sync().forPath("/curator");
                there.addAll(curator.getChildren().forPath("/curator"));
                alive = curator.checkExists().forPath("/curator-alive");
                break;
            } catch (KeeperException.ConnectionLossException e) {
                if (attempt == 60) {
                    throw e;
                }
                Thread.sleep(500);
            }
        }
        long gone = acknowledged.stream().filter(path -> !there.contains(path.substring("/curator/".length()))).count();
        boolean kept = alive != null && alive.getEphemeralOwner() == session
                && curator.getZookeeperClient().getZooKeeper().getSessionId() == session;
        System.out.printf("{\"acknowledged\": %d, \"lost_writes\": %d, \"lost_sessions\": %d, \"session_kept\": %b, \"reconnects\": %d, \"connection_losses\": %d, \"errors\": \"%s\"}%n",
                acknowledged.size(), gone, lost.get(), kept, suspended.get(), disconnected, errors.isEmpty() ? "" : errors);
        System.exit(0);
    }
}
