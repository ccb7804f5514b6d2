import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import org.apache.curator.RetryPolicy;
import org.apache.curator.framework.*;
import org.apache.curator.framework.api.*;
import org.apache.curator.framework.api.transaction.*;
import org.apache.curator.framework.recipes.atomic.*;
import org.apache.curator.framework.recipes.barriers.*;
import org.apache.curator.framework.recipes.cache.*;
import org.apache.curator.framework.recipes.leader.*;
import org.apache.curator.framework.recipes.locks.*;
import org.apache.curator.framework.recipes.nodes.*;
import org.apache.curator.framework.recipes.queue.*;
import org.apache.curator.framework.recipes.shared.*;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.framework.state.*;
import org.apache.curator.retry.*;
import org.apache.curator.x.async.*;
import org.apache.curator.x.discovery.*;
import org.apache.zookeeper.*;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/** Curator's recipes, one test each: CuratorRecipes ZK CHROOT [test...]. */
@SuppressWarnings("deprecation")
public class CuratorRecipes {
    static String zk;
    static final List<CuratorFramework> OPEN = new CopyOnWriteArrayList<>();
    static final ExecutorService POOL = Executors.newCachedThreadPool(r -> {
        Thread t = new Thread(r);
        t.setDaemon(true);
        return t;
    });

    interface Test {
        void run() throws Exception;
    }

    interface Cond {
        boolean ok() throws Exception;
    }

    static class Failed extends RuntimeException {
        Failed(String s) {
            super(s);
        }
    }

    static class Skipped extends RuntimeException {
        Skipped(String s) {
            super(s);
        }
    }

    public static void main(String[] a) throws Exception {
        String server = a[0], chroot = a[1];
        zk = server + chroot;
        try (CuratorFramework root = CuratorFrameworkFactory.newClient(server, 20000, 15000, retry())) {
            root.start();
            root.create().forPath(chroot, new byte[0]);
        }
        Map<String, Test> tests = new LinkedHashMap<>();
        tests.put("leaderLatch", CuratorRecipes::leaderLatch);
        tests.put("leaderSelector", CuratorRecipes::leaderSelector);
        tests.put("mutexContention", CuratorRecipes::mutexContention);
        tests.put("readWriteLock", CuratorRecipes::readWriteLock);
        tests.put("semaphoreAndMultiLock", CuratorRecipes::semaphoreAndMultiLock);
        tests.put("barrier", CuratorRecipes::barrier);
        tests.put("doubleBarrier", CuratorRecipes::doubleBarrier);
        tests.put("sharedCount", CuratorRecipes::sharedCount);
        tests.put("atomicLong", CuratorRecipes::atomicLong);
        tests.put("curatorCache", CuratorRecipes::curatorCache);
        tests.put("treeCache", CuratorRecipes::treeCache);
        tests.put("pathChildrenCache", CuratorRecipes::pathChildrenCache);
        tests.put("nodeCache", CuratorRecipes::nodeCache);
        tests.put("persistentNode", CuratorRecipes::persistentNode);
        tests.put("persistentTtlNode", CuratorRecipes::persistentTtlNode);
        tests.put("containerReaped", CuratorRecipes::containerReaped);
        tests.put("distributedQueue", CuratorRecipes::distributedQueue);
        tests.put("priorityAndDelayQueue", CuratorRecipes::priorityAndDelayQueue);
        tests.put("serviceDiscovery", CuratorRecipes::serviceDiscovery);
        tests.put("groupMember", CuratorRecipes::groupMember);
        tests.put("transactions", CuratorRecipes::transactions);
        tests.put("watcherRemoval", CuratorRecipes::watcherRemoval);
        tests.put("persistentWatcher", CuratorRecipes::persistentWatcher);
        tests.put("builders", CuratorRecipes::builders);
        tests.put("asyncApi", CuratorRecipes::asyncApi);
        tests.put("acls", CuratorRecipes::acls);
        tests.put("namespaces", CuratorRecipes::namespaces);
        tests.put("manyChildrenAndLargeData", CuratorRecipes::manyChildrenAndLargeData);
        tests.put("shortCut", CuratorRecipes::shortCut);
        tests.put("longCut", CuratorRecipes::longCut);
        tests.put("expiryByDuplicate", CuratorRecipes::expiryByDuplicate);
        tests.put("serverRestart", CuratorRecipes::serverRestart);
        List<String> names = a.length > 2 ? Arrays.asList(a).subList(2, a.length) : new ArrayList<>(tests.keySet());
        int bad = 0;
        for (String n : names) {
            long t0 = System.nanoTime();
            String verdict;
            Future<?> f = POOL.submit(() -> {
                tests.get(n).run();
                return null;
            });
            try {
                f.get(Integer.getInteger("limit", 100), TimeUnit.SECONDS);
                verdict = "ok";
            } catch (TimeoutException e) {
                verdict = "failed over the time limit";
                f.cancel(true);
                bad++;
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Skipped) {
                    verdict = "skipped " + e.getCause().getMessage();
                } else {
                    verdict = "failed " + e.getCause();
                    if (!(e.getCause() instanceof Failed)) {
                        e.getCause().printStackTrace();
                    }
                    bad++;
                }
            }
            System.out.printf("recipe %s %s %d ms%n", n, verdict, (System.nanoTime() - t0) / 1_000_000);
            System.out.flush();
            for (CuratorFramework c : OPEN) {
                try {
                    c.close();
                } catch (Exception e) {
                    // already closed
                }
            }
            OPEN.clear();
        }
        System.out.flush();
        Runtime.getRuntime().halt(bad == 0 ? 0 : 1);
    }

    // ---- recipes ---------------------------------------------------------------------------

    static void leaderLatch() throws Exception {
        List<LeaderLatch> l = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            LeaderLatch x = new LeaderLatch(client(), "/latch", "id" + i);
            x.start();
            l.add(x);
        }
        Set<String> led = new HashSet<>();
        while (!l.isEmpty()) {
            until(15, "a leader", () -> l.stream().filter(LeaderLatch::hasLeadership).count() == 1);
            LeaderLatch x = l.stream().filter(LeaderLatch::hasLeadership).findFirst().get();
            check(x.getLeader().getId().equals(x.getId()), "getLeader names " + x.getLeader());
            check(x.getParticipants().size() == l.size(), "participants " + x.getParticipants());
            led.add(x.getId());
            x.close();
            l.remove(x);
        }
        check(led.size() == 3, "leaders: " + led);
    }

    static void leaderSelector() throws Exception {
        AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger();
        Map<Integer, AtomicInteger> turns = new ConcurrentHashMap<>();
        List<LeaderSelector> l = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            int me = i;
            turns.put(i, new AtomicInteger());
            LeaderSelector s = new LeaderSelector(client(), "/selector", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework c) throws Exception {
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    turns.get(me).incrementAndGet();
                    Thread.sleep(20);
                    inside.decrementAndGet();
                }
            });
            s.autoRequeue();
            s.start();
            l.add(s);
        }
        until(30, "every participant had two turns", () -> turns.values().stream().allMatch(t -> t.get() >= 2));
        l.forEach(LeaderSelector::close);
        check(most.get() == 1, "leaders at a time: " + most);
    }

    static void mutexContention() throws Exception {
        CuratorFramework c0 = client();
        c0.create().forPath("/mutexCounter", "0".getBytes());
        AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger();
        List<Future<?>> f = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            CuratorFramework c = client();
            f.add(POOL.submit(() -> {
                InterProcessMutex m = new InterProcessMutex(c, "/mutex");
                for (int k = 0; k < 15; k++) {
                    m.acquire();
                    m.acquire();
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    int v = Integer.parseInt(new String(c.getData().forPath("/mutexCounter")));
                    c.setData().forPath("/mutexCounter", String.valueOf(v + 1).getBytes());
                    inside.decrementAndGet();
                    m.release();
                    m.release();
                }
                return null;
            }));
        }
        for (Future<?> x : f) {
            x.get();
        }
        check(most.get() == 1, "holders at a time: " + most);
        String v = new String(c0.getData().forPath("/mutexCounter"));
        check(v.equals("120"), "counter " + v);
        InterProcessMutex a = new InterProcessMutex(c0, "/mutex"), b = new InterProcessMutex(client(), "/mutex");
        a.acquire();
        Future<Boolean> blocked = POOL.submit(() -> b.acquire(400, TimeUnit.MILLISECONDS));
        check(!blocked.get(), "a held lock was given out");
        check(a.getParticipantNodes().size() == 1, "the timed-out waiter left its node: " + a.getParticipantNodes());
        a.release();
    }

    static void readWriteLock() throws Exception {
        AtomicInteger readers = new AtomicInteger(), writers = new AtomicInteger(), mostReaders = new AtomicInteger();
        AtomicBoolean broken = new AtomicBoolean();
        List<Future<?>> f = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            int me = i;
            InterProcessReadWriteLock l = new InterProcessReadWriteLock(client(), "/rw");
            f.add(POOL.submit(() -> {
                for (int k = 0; k < 8; k++) {
                    if (me < 4) {
                        l.readLock().acquire();
                        mostReaders.accumulateAndGet(readers.incrementAndGet(), Math::max);
                        if (writers.get() != 0) {
                            broken.set(true);
                        }
                        Thread.sleep(15);
                        readers.decrementAndGet();
                        l.readLock().release();
                    } else {
                        l.writeLock().acquire();
                        if (writers.incrementAndGet() != 1 || readers.get() != 0) {
                            broken.set(true);
                        }
                        l.readLock().acquire();
                        l.readLock().release();
                        writers.decrementAndGet();
                        l.writeLock().release();
                    }
                }
                return null;
            }));
        }
        for (Future<?> x : f) {
            x.get();
        }
        check(!broken.get(), "a writer was not alone");
        check(mostReaders.get() > 1, "readers never shared the lock");
    }

    static void semaphoreAndMultiLock() throws Exception {
        AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger();
        List<Future<?>> f = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            CuratorFramework c = client();
            f.add(POOL.submit(() -> {
                InterProcessSemaphoreV2 s = new InterProcessSemaphoreV2(c, "/sem", 3);
                for (int k = 0; k < 5; k++) {
                    Lease lease = s.acquire();
                    most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                    Thread.sleep(10);
                    inside.decrementAndGet();
                    s.returnLease(lease);
                }
                return null;
            }));
        }
        for (Future<?> x : f) {
            x.get();
        }
        check(most.get() <= 3 && most.get() >= 2, "leases at a time: " + most);
        CuratorFramework c = client();
        InterProcessMultiLock m = new InterProcessMultiLock(c, Arrays.asList("/ml1", "/ml2"));
        m.acquire();
        InterProcessSemaphoreMutex other = new InterProcessSemaphoreMutex(client(), "/ml3");
        check(other.acquire(5, TimeUnit.SECONDS), "semaphore mutex");
        other.release();
        m.release();
    }

    static void barrier() throws Exception {
        DistributedBarrier set = new DistributedBarrier(client(), "/barrier");
        set.setBarrier();
        List<Future<Boolean>> f = new ArrayList<>();
        AtomicInteger through = new AtomicInteger();
        for (int i = 0; i < 4; i++) {
            DistributedBarrier b = new DistributedBarrier(client(), "/barrier");
            f.add(POOL.submit(() -> {
                boolean r = b.waitOnBarrier(20, TimeUnit.SECONDS);
                through.incrementAndGet();
                return r;
            }));
        }
        Thread.sleep(500);
        check(through.get() == 0, "a waiter got through a set barrier");
        set.removeBarrier();
        for (Future<Boolean> x : f) {
            check(x.get(), "a waiter timed out");
        }
    }

    static void doubleBarrier() throws Exception {
        int n = 5;
        AtomicInteger entered = new AtomicInteger(), left = new AtomicInteger(), wrong = new AtomicInteger();
        List<Future<?>> f = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            DistributedDoubleBarrier b = new DistributedDoubleBarrier(client(), "/double", n);
            int me = i;
            f.add(POOL.submit(() -> {
                Thread.sleep(me * 60);
                entered.incrementAndGet();
                check(b.enter(20, TimeUnit.SECONDS), "enter");
                if (entered.get() != n) {
                    wrong.incrementAndGet();
                }
                Thread.sleep(me * 40);
                left.incrementAndGet();
                check(b.leave(20, TimeUnit.SECONDS), "leave");
                if (left.get() != n) {
                    wrong.incrementAndGet();
                }
                return null;
            }));
        }
        for (Future<?> x : f) {
            x.get();
        }
        check(wrong.get() == 0, "someone passed too early");
    }

    static void sharedCount() throws Exception {
        SharedCount a = new SharedCount(client(), "/shared", 7), b = new SharedCount(client(), "/shared", 7);
        AtomicInteger seen = new AtomicInteger();
        b.addListener(new SharedCountListener() {
            @Override
            public void countHasChanged(SharedCountReader r, int v) {
                seen.set(v);
            }

            @Override
            public void stateChanged(CuratorFramework c, ConnectionState s) {
            }
        });
        a.start();
        b.start();
        check(a.getCount() == 7 && b.getCount() == 7, "seed value");
        a.setCount(8);
        until(10, "listener", () -> seen.get() == 8 && b.getCount() == 8);
        VersionedValue<Integer> old = b.getVersionedValue();
        check(b.trySetCount(old, 9), "trySet with the current version");
        check(!b.trySetCount(old, 10), "trySet with an old version");
        until(10, "value", () -> a.getCount() == 9);
        a.close();
        b.close();
    }

    static void atomicLong() throws Exception {
        List<Future<?>> f = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            CuratorFramework c = client();
            f.add(POOL.submit(() -> {
                DistributedAtomicLong l = new DistributedAtomicLong(c, "/along", new RetryNTimes(3, 5),
                        PromotedToLock.builder().lockPath("/along-lock").retryPolicy(new RetryNTimes(10, 20)).build());
                for (int k = 0; k < 25; k++) {
                    check(l.increment().succeeded(), "increment");
                }
                return null;
            }));
        }
        for (Future<?> x : f) {
            x.get();
        }
        DistributedAtomicLong l = new DistributedAtomicLong(client(), "/along", new RetryOneTime(1));
        check(l.get().postValue() == 100, "value " + l.get().postValue());
        check(!l.compareAndSet(5L, 6L).succeeded(), "compareAndSet with a wrong value");
        check(l.compareAndSet(100L, 101L).succeeded(), "compareAndSet");
    }

    static void curatorCache() throws Exception {
        CuratorFramework c = client(), o = client();
        o.create().creatingParentsIfNeeded().forPath("/cc/a/b", "1".getBytes());
        Set<String> created = ConcurrentHashMap.newKeySet(), changed = ConcurrentHashMap.newKeySet(), deleted = ConcurrentHashMap.newKeySet();
        CountDownLatch ready = new CountDownLatch(1);
        CuratorCache cache = CuratorCache.build(c, "/cc");
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(n -> created.add(n.getPath()))
                .forChanges((x, y) -> changed.add(y.getPath()))
                .forDeletes(n -> deleted.add(n.getPath()))
                .forInitialized(ready::countDown).build());
        cache.start();
        check(ready.await(20, TimeUnit.SECONDS), "initialized");
        check(created.equals(Set.of("/cc", "/cc/a", "/cc/a/b")), "initial nodes " + created);
        for (int i = 0; i < 100; i++) {
            o.create().forPath("/cc/a/n" + i, ("v" + i).getBytes());
        }
        o.setData().forPath("/cc/a/b", "2".getBytes());
        until(20, "103 nodes", () -> cache.size() == 103);
        until(10, "change", () -> changed.contains("/cc/a/b") && new String(cache.get("/cc/a/b").get().getData()).equals("2"));
        o.delete().deletingChildrenIfNeeded().forPath("/cc/a");
        until(20, "deletes", () -> deleted.size() == 102 && cache.size() == 1);
        cache.close();
    }

    static void treeCache() throws Exception {
        CuratorFramework c = client(), o = client();
        o.create().creatingParentsIfNeeded().forPath("/tc/x/y/z", "1".getBytes());
        List<String> events = new CopyOnWriteArrayList<>();
        TreeCache cache = TreeCache.newBuilder(c, "/tc").setCacheData(true).build();
        cache.getListenable().addListener((cl, e) -> events.add(e.getType() + (e.getData() == null ? "" : " " + e.getData().getPath())));
        cache.start();
        until(20, "initialized", () -> events.contains("INITIALIZED"));
        check(cache.getCurrentChildren("/tc/x").keySet().equals(Set.of("y")), "children");
        o.setData().forPath("/tc/x/y/z", "2".getBytes());
        o.create().forPath("/tc/x/new", "n".getBytes());
        until(10, "events", () -> events.contains("NODE_UPDATED /tc/x/y/z") && events.contains("NODE_ADDED /tc/x/new"));
        o.delete().deletingChildrenIfNeeded().forPath("/tc/x/y");
        until(10, "removal", () -> events.contains("NODE_REMOVED /tc/x/y") && cache.getCurrentData("/tc/x/y/z") == null);
        cache.close();
    }

    static void pathChildrenCache() throws Exception {
        CuratorFramework c = client(), o = client();
        PathChildrenCache cache = new PathChildrenCache(c, "/pcc", true);
        List<String> events = new CopyOnWriteArrayList<>();
        cache.getListenable().addListener((cl, e) -> {
            if (e.getData() != null) {
                events.add(e.getType() + " " + e.getData().getPath() + " " + new String(e.getData().getData()));
            }
        });
        cache.start(PathChildrenCache.StartMode.POST_INITIALIZED_EVENT);
        until(10, "path made", () -> o.checkExists().forPath("/pcc") != null);
        o.create().forPath("/pcc/one", "1".getBytes());
        until(10, "add", () -> events.contains("CHILD_ADDED /pcc/one 1"));
        o.setData().forPath("/pcc/one", "2".getBytes());
        until(10, "update", () -> events.contains("CHILD_UPDATED /pcc/one 2"));
        o.delete().forPath("/pcc/one");
        until(10, "removal", () -> events.stream().anyMatch(e -> e.startsWith("CHILD_REMOVED /pcc/one")));
        cache.close();
    }

    static void nodeCache() throws Exception {
        CuratorFramework c = client(), o = client();
        NodeCache cache = new NodeCache(c, "/nc/deep");
        AtomicInteger n = new AtomicInteger();
        cache.getListenable().addListener(n::incrementAndGet);
        cache.start(true);
        check(cache.getCurrentData() == null, "missing node has data");
        o.create().creatingParentsIfNeeded().forPath("/nc/deep", "a".getBytes());
        until(10, "created", () -> cache.getCurrentData() != null);
        o.setData().forPath("/nc/deep", "b".getBytes());
        until(10, "changed", () -> new String(cache.getCurrentData().getData()).equals("b"));
        o.delete().forPath("/nc/deep");
        until(10, "deleted", () -> cache.getCurrentData() == null);
        check(n.get() >= 3, "events " + n);
        cache.close();
    }

    static void persistentNode() throws Exception {
        CuratorFramework c = client(), o = client();
        PersistentNode p = new PersistentNode(c, CreateMode.EPHEMERAL, false, "/pn/me", "x".getBytes());
        p.start();
        check(p.waitForInitialCreate(15, TimeUnit.SECONDS), "created");
        long owner = o.checkExists().forPath("/pn/me").getEphemeralOwner();
        check(owner == c.getZookeeperClient().getZooKeeper().getSessionId(), "owner");
        o.delete().forPath("/pn/me");
        until(15, "made again after deletion", () -> o.checkExists().forPath("/pn/me") != null);
        p.setData("y".getBytes());
        until(10, "data", () -> new String(o.getData().forPath("/pn/me")).equals("y"));
        expire(c);
        until(30, "made again after expiry", () -> {
            Stat s = o.checkExists().forPath("/pn/me");
            return s != null && s.getEphemeralOwner() != owner;
        });
        p.close();
        until(10, "gone after close", () -> o.checkExists().forPath("/pn/me") == null);
        PersistentNode s = new PersistentNode(c, CreateMode.EPHEMERAL_SEQUENTIAL, true, "/pn/seq", "s".getBytes());
        s.start();
        check(s.waitForInitialCreate(15, TimeUnit.SECONDS), "protected sequential node");
        check(s.getActualPath().matches("/pn/_c_[-0-9a-f]+-seq\\d{10}"), s.getActualPath());
        s.close();
    }

    static void persistentTtlNode() throws Exception {
        CuratorFramework c = client(), o = client();
        PersistentTtlNode p = new PersistentTtlNode(c, "/ttl", 3000, "t".getBytes());
        p.start();
        try {
            check(p.waitForInitialCreate(15, TimeUnit.SECONDS), "not created: is extendedTypesEnabled set?");
        } catch (Failed e) {
            throw new Failed(e.getMessage());
        }
        Thread.sleep(7000);
        check(o.checkExists().forPath("/ttl") != null, "reaped although it is touched");
        o.create().withTtl(2000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/ttlplain", "x".getBytes());
        String seq = o.create().withTtl(2000).withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL).forPath("/ttlseq-", "x".getBytes());
        check(seq.matches("/ttlseq-\\d{10}"), seq);
        check(o.checkExists().forPath("/ttlplain").getEphemeralOwner() == 0, "a TTL node shows an owner");
        p.close();
        until(85, "TTL nodes reaped", () -> o.checkExists().forPath("/ttlplain") == null && o.checkExists().forPath(seq) == null);
    }

    static void containerReaped() throws Exception {
        CuratorFramework c = client();
        c.createContainers("/cont/inner");
        c.create().forPath("/cont/inner/child");
        Thread.sleep(1000);
        check(c.checkExists().forPath("/cont/inner") != null, "a container with a child was reaped");
        c.delete().forPath("/cont/inner/child");
        until(95, "empty containers reaped", () -> c.checkExists().forPath("/cont") == null);
    }

    static final QueueSerializer<String> STRINGS = new QueueSerializer<String>() {
        @Override
        public byte[] serialize(String s) {
            return s.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public String deserialize(byte[] b) {
            return new String(b, StandardCharsets.UTF_8);
        }
    };

    static QueueConsumer<String> into(Collection<String> l) {
        return new QueueConsumer<String>() {
            @Override
            public void consumeMessage(String s) {
                l.add(s);
            }

            @Override
            public void stateChanged(CuratorFramework c, ConnectionState s) {
            }
        };
    }

    static void distributedQueue() throws Exception {
        List<String> got = new CopyOnWriteArrayList<>();
        DistributedQueue<String> w = QueueBuilder.builder(client(), null, STRINGS, "/queue").buildQueue();
        DistributedQueue<String> r = QueueBuilder.builder(client(), into(got), STRINGS, "/queue").lockPath("/queue-locks").buildQueue();
        w.start();
        r.start();
        for (int i = 0; i < 100; i++) {
            w.put("m" + i);
        }
        check(w.flushPuts(20, TimeUnit.SECONDS), "flushPuts");
        until(30, "100 messages", () -> got.size() == 100);
        check(new HashSet<>(got).size() == 100, "doubled messages");
        w.close();
        r.close();
        SimpleDistributedQueue q = new SimpleDistributedQueue(client(), "/squeue");
        Future<byte[]> taken = POOL.submit(q::take);
        Thread.sleep(200);
        q.offer("s".getBytes());
        check(new String(taken.get(10, TimeUnit.SECONDS)).equals("s"), "simple queue");
        check(q.poll(200, TimeUnit.MILLISECONDS) == null, "empty simple queue");
    }

    static void priorityAndDelayQueue() throws Exception {
        List<String> got = new CopyOnWriteArrayList<>();
        DistributedPriorityQueue<String> w = QueueBuilder.builder(client(), null, STRINGS, "/pqueue").buildPriorityQueue(0);
        w.start();
        for (int i = 9; i >= 0; i--) {
            w.put("p" + i, i);
        }
        w.flushPuts(20, TimeUnit.SECONDS);
        DistributedPriorityQueue<String> r = QueueBuilder.builder(client(), into(got), STRINGS, "/pqueue").buildPriorityQueue(0);
        r.start();
        until(20, "10 messages", () -> got.size() == 10);
        check(got.get(0).equals("p0") && got.get(9).equals("p9"), "order " + got);
        r.close();
        w.close();
        List<String> late = new CopyOnWriteArrayList<>();
        DistributedDelayQueue<String> d = QueueBuilder.builder(client(), into(late), STRINGS, "/dqueue").buildDelayQueue();
        d.start();
        d.put("later", System.currentTimeMillis() + 1500);
        Thread.sleep(600);
        check(late.isEmpty(), "too early");
        until(10, "delayed message", () -> late.size() == 1);
        d.close();
    }

    static void serviceDiscovery() throws Exception {
        CuratorFramework reg = client();
        ServiceInstance<String> one = ServiceInstance.<String>builder().name("svc").id("one").address("10.0.0.1").port(1).payload("p1").build();
        ServiceInstance<String> two = ServiceInstance.<String>builder().name("svc").id("two").address("10.0.0.2").port(2).payload("p2").build();
        ServiceDiscovery<String> a = ServiceDiscoveryBuilder.builder(String.class).client(reg).basePath("/discovery").thisInstance(one).watchInstances(true).build();
        a.start();
        a.registerService(two);
        CuratorFramework look = client();
        ServiceDiscovery<String> b = ServiceDiscoveryBuilder.builder(String.class).client(look).basePath("/discovery").build();
        b.start();
        check(b.queryForInstances("svc").size() == 2, "instances " + b.queryForInstances("svc"));
        check(b.queryForNames().equals(List.of("svc")) || b.queryForNames().contains("svc"), "names");
        check(b.queryForInstance("svc", "two").getPayload().equals("p2"), "payload");
        ServiceCache<String> cache = b.serviceCacheBuilder().name("svc").build();
        cache.start();
        ServiceProvider<String> provider = b.serviceProviderBuilder().serviceName("svc").build();
        provider.start();
        until(10, "cache", () -> cache.getInstances().size() == 2);
        Set<Integer> ports = new HashSet<>();
        for (int i = 0; i < 8; i++) {
            ports.add(provider.getInstance().getPort());
        }
        check(ports.equals(Set.of(1, 2)), "round robin " + ports);
        a.unregisterService(two);
        until(10, "unregistered", () -> cache.getInstances().size() == 1);
        expire(reg);
        until(40, "registered again after expiry", () -> {
            Collection<ServiceInstance<String>> l = b.queryForInstances("svc");
            Stat s = look.checkExists().forPath("/discovery/svc/one");
            return l.size() == 1 && s != null && s.getEphemeralOwner() == reg.getZookeeperClient().getZooKeeper().getSessionId();
        });
        provider.close();
        cache.close();
        b.close();
        a.close();
    }

    static void groupMember() throws Exception {
        GroupMember a = new GroupMember(client(), "/group", "a", "A".getBytes()), b = new GroupMember(client(), "/group", "b", "B".getBytes());
        a.start();
        b.start();
        until(15, "two members", () -> a.getCurrentMembers().size() == 2 && new String(a.getCurrentMembers().get("b")).equals("B"));
        b.close();
        until(15, "one member", () -> a.getCurrentMembers().size() == 1);
        a.close();
    }

    static void transactions() throws Exception {
        CuratorFramework c = client();
        c.create().forPath("/tx", "0".getBytes());
        List<CuratorTransactionResult> r = c.transaction().forOperations(
                c.transactionOp().check().withVersion(0).forPath("/tx"),
                c.transactionOp().create().forPath("/tx/a", "1".getBytes()),
                c.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/tx/s-", "1".getBytes()),
                c.transactionOp().create().withMode(CreateMode.EPHEMERAL).forPath("/tx/e", "1".getBytes()),
                c.transactionOp().setData().withVersion(0).forPath("/tx", "1".getBytes()),
                c.transactionOp().delete().forPath("/tx/a"));
        check(r.size() == 6, "results " + r.size());
        // the client does not take the chroot off the paths in the results of a multi
        String chroot = zk.substring(zk.indexOf('/')), seq = r.get(2).getResultPath().replace(chroot, "");
        check(r.get(1).getResultPath().equals(chroot + "/tx/a"), "path " + r.get(1).getResultPath());
        check(seq.matches("/tx/s-\\d{10}"), "path " + r.get(2).getResultPath());
        check(r.get(4).getResultStat().getVersion() == 1, "stat");
        Stat st = c.checkExists().forPath("/tx");
        check(c.checkExists().forPath(seq).getCzxid() == st.getMzxid(), "one zxid for a transaction");
        try {
            c.transaction().forOperations(
                    c.transactionOp().create().forPath("/tx/never"),
                    c.transactionOp().check().withVersion(99).forPath("/tx"),
                    c.transactionOp().create().forPath("/tx/never2"));
            throw new Failed("a failing transaction went through");
        } catch (KeeperException.BadVersionException e) {
            List<OpResult> l = e.getResults();
            check(l.size() == 3, "results of the failure");
            check(((OpResult.ErrorResult) l.get(0)).getErr() == 0, "first " + ((OpResult.ErrorResult) l.get(0)).getErr());
            check(((OpResult.ErrorResult) l.get(1)).getErr() == KeeperException.Code.BADVERSION.intValue(), "second");
            check(((OpResult.ErrorResult) l.get(2)).getErr() == KeeperException.Code.RUNTIMEINCONSISTENCY.intValue(), "third");
        }
        check(c.checkExists().forPath("/tx/never") == null, "part of a failed transaction stayed");
        // multiRead, by the plain client
        ZooKeeper z = c.getZookeeperClient().getZooKeeper();
        List<OpResult> m = z.multi(Arrays.asList(Op.getData("/tx"), Op.getChildren("/tx"), Op.getData("/tx/missing")));
        check(new String(((OpResult.GetDataResult) m.get(0)).getData()).equals("1"), "multiRead data");
        check(((OpResult.GetChildrenResult) m.get(1)).getChildren().size() == 2, "multiRead children");
        check(((OpResult.ErrorResult) m.get(2)).getErr() == KeeperException.Code.NONODE.intValue(), "multiRead error");
    }

    static void watcherRemoval() throws Exception {
        CuratorFramework c = client(), o = client();
        o.create().forPath("/wr", "0".getBytes());
        BlockingQueue<WatchedEvent> q = new LinkedBlockingQueue<>();
        Watcher w = q::add;
        c.getData().usingWatcher(w).forPath("/wr");
        c.watches().remove(w).ofType(Watcher.WatcherType.Data).forPath("/wr");
        check(q.poll(10, TimeUnit.SECONDS).getType() == EventType.DataWatchRemoved, "removal event");
        o.setData().forPath("/wr", "1".getBytes());
        check(q.poll(300, TimeUnit.MILLISECONDS) == null, "a removed watch fired");
        try {
            c.watches().remove(w).forPath("/wr");
            throw new Failed("removing a missing watch went through");
        } catch (KeeperException.NoWatcherException e) {
            // as it should be
        }
        WatcherRemoveCuratorFramework wr = c.newWatcherRemoveCuratorFramework();
        wr.getChildren().usingWatcher(w).forPath("/wr");
        wr.removeWatchers();
        until(10, "child watch removed", () -> q.stream().anyMatch(e -> e.getType() == EventType.ChildWatchRemoved));
        o.create().forPath("/wr/x");
        Thread.sleep(200);
        check(q.stream().noneMatch(e -> e.getType() == EventType.NodeChildrenChanged), "a removed watch fired");
        c.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(w).forPath("/wr");
        o.setData().forPath("/wr", "2".getBytes());
        until(10, "persistent event", () -> q.stream().anyMatch(e -> e.getType() == EventType.NodeDataChanged));
        c.watchers().removeAll().ofType(Watcher.WatcherType.Any).forPath("/wr");
        until(10, "all removed", () -> q.stream().anyMatch(e -> e.getType() == EventType.PersistentWatchRemoved));
    }

    static void persistentWatcher() throws Exception {
        try (Relay proxy = new Relay(zk)) {
            CuratorFramework c = client(proxy.address() + zk.substring(zk.indexOf('/')), 15000), o = client();
            o.create().forPath("/pw");
            List<String> l = new CopyOnWriteArrayList<>();
            CountDownLatch set = new CountDownLatch(1);
            PersistentWatcher w = new PersistentWatcher(c, "/pw", true);
            w.getListenable().addListener(e -> {
                if (e.getPath() != null) {
                    l.add(e.getType() + " " + e.getPath());
                }
            });
            w.getResetListenable().addListener(set::countDown);
            w.start();
            check(set.await(10, TimeUnit.SECONDS), "watch set");
            o.create().creatingParentsIfNeeded().forPath("/pw/a/b/c", "1".getBytes());
            o.setData().forPath("/pw/a/b", "2".getBytes());
            o.delete().deletingChildrenIfNeeded().forPath("/pw/a");
            until(10, "events", () -> l.size() == 7);
            check(l.equals(List.of("NodeCreated /pw/a", "NodeCreated /pw/a/b", "NodeCreated /pw/a/b/c", "NodeDataChanged /pw/a/b",
                    "NodeDeleted /pw/a/b/c", "NodeDeleted /pw/a/b", "NodeDeleted /pw/a")), "events " + l);
            l.clear();
            proxy.cut();
            until(20, "connected again", () -> c.getZookeeperClient().isConnected() && c.checkExists().forPath("/pw") != null);
            Thread.sleep(300);
            o.create().forPath("/pw/after", "1".getBytes());
            until(10, "event after the reconnection", () -> l.contains("NodeCreated /pw/after"));
            w.close();
        }
    }

    static void builders() throws Exception {
        CuratorFramework c = client();
        String p = c.create().creatingParentContainersIfNeeded().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/bld/x/p-", "1".getBytes());
        check(p.matches("/bld/x/_c_[-0-9a-f]+-p-\\d{10}"), p);
        Stat s = new Stat();
        c.create().orSetData().storingStatIn(s).forPath("/bld/o", "1".getBytes());
        c.create().orSetData().forPath("/bld/o", "2".getBytes());
        check(new String(c.getData().storingStatIn(s).forPath("/bld/o")).equals("2") && s.getVersion() == 1, "orSetData");
        c.setData().compressed().forPath("/bld/o", new byte[5000]);
        check(c.getData().decompressed().forPath("/bld/o").length == 5000, "compressed");
        c.setData().idempotent().withVersion(2).forPath("/bld/o", "3".getBytes());
        CountDownLatch done = new CountDownLatch(3);
        List<CuratorEventType> types = new CopyOnWriteArrayList<>();
        BackgroundCallback cb = (cl, e) -> {
            if (e.getResultCode() == 0) {
                types.add(e.getType());
            }
            done.countDown();
        };
        c.getData().inBackground(cb).forPath("/bld/o");
        c.getChildren().inBackground(cb).forPath("/bld");
        c.sync().inBackground(cb).forPath("/bld");
        check(done.await(15, TimeUnit.SECONDS), "background");
        check(types.equals(List.of(CuratorEventType.GET_DATA, CuratorEventType.CHILDREN, CuratorEventType.SYNC)), "order " + types);
        check(c.getConfig().forEnsemble() != null, "getConfig");
        c.delete().guaranteed().deletingChildrenIfNeeded().forPath("/bld");
        c.delete().quietly().forPath("/bld");
        check(c.checkExists().creatingParentsIfNeeded().forPath("/bld2/q/r") == null && c.checkExists().forPath("/bld2/q") != null, "creatingParents of exists");
    }

    static void asyncApi() throws Exception {
        CuratorFramework c = client();
        AsyncCuratorFramework a = AsyncCuratorFramework.wrap(c);
        a.create().withOptions(EnumSet.of(org.apache.curator.x.async.api.CreateOption.createParentsIfNeeded)).forPath("/as/x", "1".getBytes())
                .toCompletableFuture().get(15, TimeUnit.SECONDS);
        AsyncStage<byte[]> watched = a.watched().getData().forPath("/as/x");
        check(new String(watched.toCompletableFuture().get(15, TimeUnit.SECONDS)).equals("1"), "data");
        a.setData().forPath("/as/x", "2".getBytes()).toCompletableFuture().get(15, TimeUnit.SECONDS);
        WatchedEvent e = watched.event().toCompletableFuture().get(15, TimeUnit.SECONDS);
        check(e.getType() == EventType.NodeDataChanged, "event " + e);
        List<CompletableFuture<?>> l = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            l.add(a.create().forPath("/as/n" + i, new byte[20]).toCompletableFuture());
        }
        for (CompletableFuture<?> f : l) {
            f.get(20, TimeUnit.SECONDS);
        }
        check(a.getChildren().forPath("/as").toCompletableFuture().get(15, TimeUnit.SECONDS).size() == 501, "children");
        a.transaction().forOperations(List.of(a.transactionOp().delete().forPath("/as/n1"), a.transactionOp().check().forPath("/as/x")))
                .toCompletableFuture().get(15, TimeUnit.SECONDS);
    }

    static void acls() throws Exception {
        List<ACL> mine = Arrays.asList(new ACL(ZooDefs.Perms.ALL, new Id("auth", "")));   // List.of refuses contains(null), which the client asks
        CuratorFramework c = CuratorFrameworkFactory.builder().connectString(zk).sessionTimeoutMs(20000).connectionTimeoutMs(15000).retryPolicy(retry())
                .authorization("digest", "cur:secret".getBytes()).aclProvider(new ACLProvider() {
                    @Override
                    public List<ACL> getDefaultAcl() {
                        return mine;
                    }

                    @Override
                    public List<ACL> getAclForPath(String p) {
                        return mine;
                    }
                }).build();
        OPEN.add(c);
        c.start();
        c.create().forPath("/closed", "1".getBytes());
        check(c.getACL().forPath("/closed").get(0).getId().getScheme().equals("digest"), "acl " + c.getACL().forPath("/closed"));
        CuratorFramework o = client();
        try {
            o.getData().forPath("/closed");
            throw new Failed("read without a right");
        } catch (KeeperException.NoAuthException e) {
            // as it should be
        }
        expire(c);
        until(30, "the right survives a new session", () -> new String(c.getData().forPath("/closed")).equals("1"));
        c.delete().forPath("/closed");
    }

    static void namespaces() throws Exception {
        CuratorFramework c = client();
        CuratorFramework ns = c.usingNamespace("space");
        ns.create().creatingParentsIfNeeded().forPath("/a/b", "1".getBytes());
        check(c.checkExists().forPath("/space/a/b") != null, "namespace");
        BlockingQueue<String> q = new LinkedBlockingQueue<>();
        ns.getData().usingWatcher((CuratorWatcher) e -> q.add(e.getPath())).forPath("/a/b");
        c.setData().forPath("/space/a/b", "2".getBytes());
        check("/a/b".equals(q.poll(10, TimeUnit.SECONDS)), "path of the event");
    }

    static void manyChildrenAndLargeData() throws Exception {
        CuratorFramework c = client();
        c.create().forPath("/many");
        CountDownLatch done = new CountDownLatch(3000);
        String name = "a-rather-long-child-name-to-fill-the-answer-";
        for (int i = 0; i < 3000; i++) {
            c.create().inBackground((cl, e) -> done.countDown()).forPath("/many/" + name + i, new byte[0]);
        }
        check(done.await(60, TimeUnit.SECONDS), "3000 creates");
        check(c.getChildren().forPath("/many").size() == 3000, "children");
        byte[] big = new byte[1_000_000];
        new Random(1).nextBytes(big);
        c.create().forPath("/big", big);
        check(Arrays.equals(big, c.getData().forPath("/big")), "large data");
        CuratorFramework o = CuratorFrameworkFactory.newClient(zk, 20000, 15000, new RetryOneTime(1));
        OPEN.add(o);
        o.start();
        try {
            o.setData().forPath("/big", new byte[1_200_000]);
            throw new Failed("more than jute.maxbuffer went through");
        } catch (KeeperException.ConnectionLossException e) {
            // what a Java server does: it cuts the connection
        }
    }

    static void shortCut() throws Exception {
        try (Relay proxy = new Relay(zk)) {
            CuratorFramework c = client(proxy.address() + zk.substring(zk.indexOf('/')), 15000), o = client();
            BlockingQueue<ConnectionState> q = new LinkedBlockingQueue<>();
            c.getConnectionStateListenable().addListener((cl, s) -> q.add(s));
            c.create().withMode(CreateMode.EPHEMERAL).forPath("/cut", "1".getBytes());
            BlockingQueue<WatchedEvent> events = new LinkedBlockingQueue<>();
            c.create().forPath("/cutdata", "1".getBytes());
            c.getData().usingWatcher((Watcher) e -> {
                if (e.getPath() != null) {
                    events.add(e);
                }
            }).forPath("/cutdata");
            long id = c.getZookeeperClient().getZooKeeper().getSessionId();
            q.clear();
            proxy.down();
            check(q.poll(20, TimeUnit.SECONDS) == ConnectionState.SUSPENDED, "SUSPENDED");
            // a change while the client is away must reach it by the watch that it sets again
            o.setData().forPath("/cutdata", "2".getBytes());
            Thread.sleep(500);
            proxy.up();
            check(q.poll(30, TimeUnit.SECONDS) == ConnectionState.RECONNECTED, "RECONNECTED");
            check(c.getZookeeperClient().getZooKeeper().getSessionId() == id, "another session");
            check(o.checkExists().forPath("/cut") != null, "the ephemeral node is gone");
            WatchedEvent e = events.poll(10, TimeUnit.SECONDS);
            check(e != null && e.getType() == EventType.NodeDataChanged, "the change missed while away: " + e);
        }
    }

    static void longCut() throws Exception {
        try (Relay proxy = new Relay(zk)) {
            CuratorFramework c = client(proxy.address() + zk.substring(zk.indexOf('/')), 5000), o = client();
            BlockingQueue<ConnectionState> q = new LinkedBlockingQueue<>();
            c.getConnectionStateListenable().addListener((cl, s) -> q.add(s));
            c.create().withMode(CreateMode.EPHEMERAL).forPath("/lcut", "1".getBytes());
            int negotiated = c.getZookeeperClient().getZooKeeper().getSessionTimeout();
            long id = c.getZookeeperClient().getZooKeeper().getSessionId();
            q.clear();
            proxy.down();
            long t0 = System.currentTimeMillis();
            check(q.poll(20, TimeUnit.SECONDS) == ConnectionState.SUSPENDED, "SUSPENDED");
            check(q.poll(40, TimeUnit.SECONDS) == ConnectionState.LOST, "LOST");
            until(40, "the server expired the session", () -> o.checkExists().forPath("/lcut") == null);
            long gone = System.currentTimeMillis() - t0;
            check(gone > negotiated / 2 && gone < negotiated * 2L + 5000, "expiry after " + gone + " ms with a timeout of " + negotiated);
            proxy.up();
            check(q.poll(40, TimeUnit.SECONDS) == ConnectionState.RECONNECTED, "RECONNECTED");
            check(c.getZookeeperClient().getZooKeeper().getSessionId() != id, "the dead session lives");
        }
    }

    static void expiryByDuplicate() throws Exception {
        CuratorFramework c = client(), o = client();
        BlockingQueue<ConnectionState> q = new LinkedBlockingQueue<>();
        c.create().withMode(CreateMode.EPHEMERAL).forPath("/dup", "1".getBytes());
        c.getConnectionStateListenable().addListener((cl, s) -> q.add(s));
        expire(c);
        until(30, "ephemeral gone", () -> o.checkExists().forPath("/dup") == null);
        until(40, "LOST and RECONNECTED", () -> q.contains(ConnectionState.LOST) && q.contains(ConnectionState.RECONNECTED));
        c.create().withMode(CreateMode.EPHEMERAL).forPath("/dup", "2".getBytes());
    }

    static void serverRestart() throws Exception {
        String cmd = System.getenv("ZK_RESTART_CMD");
        if (cmd == null || cmd.isEmpty()) {
            throw new Skipped("ZK_RESTART_CMD is not set");
        }
        CuratorFramework c = client(zk, 30000);
        BlockingQueue<ConnectionState> q = new LinkedBlockingQueue<>();
        c.getConnectionStateListenable().addListener((cl, s) -> q.add(s));
        c.create().withMode(CreateMode.EPHEMERAL).forPath("/restart", "1".getBytes());
        c.create().forPath("/restart-p", "1".getBytes());
        List<String> seen = new CopyOnWriteArrayList<>();
        CuratorCache cache = CuratorCache.build(c, "/restart-p");
        cache.listenable().addListener((t, a, b) -> seen.add(t.name()));
        cache.start();
        InterProcessMutex m = new InterProcessMutex(c, "/restart-lock");
        m.acquire();
        long id = c.getZookeeperClient().getZooKeeper().getSessionId();
        Stat before = c.checkExists().forPath("/restart-p");
        q.clear();
        int rc = new ProcessBuilder("bash", "-c", cmd).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start().waitFor();
        check(rc == 0, "the restart command failed");
        check(q.poll(30, TimeUnit.SECONDS) == ConnectionState.SUSPENDED, "SUSPENDED");
        check(q.poll(40, TimeUnit.SECONDS) == ConnectionState.RECONNECTED, "RECONNECTED");
        check(c.getZookeeperClient().getZooKeeper().getSessionId() == id, "the session did not survive the restart");
        check(c.checkExists().forPath("/restart") != null, "the ephemeral node did not survive");
        check(c.checkExists().forPath("/restart-p").equals(before), "the stat changed in the restart");
        check(m.isOwnedByCurrentThread(), "lock");
        m.release();
        c.setData().forPath("/restart-p", "2".getBytes());
        until(15, "cache follows", () -> seen.contains("NODE_CHANGED"));
        cache.close();
    }

    // ---- tools -----------------------------------------------------------------------------

    static RetryPolicy retry() {
        return new ExponentialBackoffRetry(200, 6, 3000);
    }

    static CuratorFramework client() {
        return client(zk, 20000);
    }

    static CuratorFramework client(String connect, int timeout) {
        CuratorFramework c = CuratorFrameworkFactory.newClient(connect, timeout, 15000, retry());
        OPEN.add(c);
        c.start();
        return c;
    }

    /** Ends a client's session from another connection, which takes it over and closes it. */
    static void expire(CuratorFramework c) throws Exception {
        ZooKeeper z = c.getZookeeperClient().getZooKeeper();
        CountDownLatch up = new CountDownLatch(1);
        ZooKeeper dup = new ZooKeeper(c.getZookeeperClient().getCurrentConnectionString(), 10000, e -> {
            if (e.getState() == Watcher.Event.KeeperState.SyncConnected) {
                up.countDown();
            }
        }, z.getSessionId(), z.getSessionPasswd());
        check(up.await(20, TimeUnit.SECONDS), "the session could not be taken over");
        dup.close();
    }

    static void until(int seconds, String what, Cond c) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
        Exception last = null;
        while (System.nanoTime() < end) {
            try {
                if (c.ok()) {
                    return;
                }
                last = null;
            } catch (Exception e) {
                last = e;
            }
            Thread.sleep(50);
        }
        throw new Failed("waited " + seconds + " s for: " + what + (last == null ? "" : " (" + last + ")"));
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            throw new Failed(what);
        }
    }
}
