import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.common.serialization.*;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;

/** Steps of the Kafka scenario; each is one run: KafkaSteps STEP ZK BOOTSTRAP SASL_BOOTSTRAP [args]. */
public class KafkaSteps {
    static String zkConnect, bootstrap, saslBootstrap;
    static ZooKeeper zk;
    static final String TOPIC = "ox-a";

    public static void main(String[] a) throws Exception {
        zkConnect = a[1];
        bootstrap = a[2];
        saslBootstrap = a[3];
        CountDownLatch up = new CountDownLatch(1);
        zk = new ZooKeeper(zkConnect, 20000, e -> {
            if (e.getState() == Watcher.Event.KeeperState.SyncConnected) {
                up.countDown();
            }
        });
        check(up.await(20, TimeUnit.SECONDS), "no ZooKeeper connection");
        switch (a[0]) {
            case "brokers": until(90, "brokers registered: " + a[4], () -> ids().size() == Integer.parseInt(a[4])); break;
            case "controller": System.out.println(controller()); break;
            case "epoch": System.out.println(get("/controller_epoch")); break;
            case "full": full(); break;
            case "failover": failover(Integer.parseInt(a[4]), Integer.parseInt(a[5]), Integer.parseInt(a[6])); break;
            case "rejoin": rejoin(); break;
            default: throw new IllegalArgumentException(a[0]);
        }
        zk.close();
        System.exit(0);
    }

    // ---- steps -----------------------------------------------------------------------------

    static void full() throws Exception {
        try (Admin admin = admin()) {
            create(admin, TOPIC, 4);
            check(zk.exists("/brokers/topics/" + TOPIC, false) != null, "topic is not in ZooKeeper");
            say("topic created");
            produce(TOPIC, 0, 10000, plain(bootstrap));
            consume(TOPIC, 10000, plain(bootstrap), "g1");
            say("10000 messages through");

            // topic configuration, by way of /config/topics and a sequential node under /config/changes
            ConfigResource r = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
            admin.incrementalAlterConfigs(Map.of(r, List.of(
                    new AlterConfigOp(new ConfigEntry("retention.ms", "3600000"), AlterConfigOp.OpType.SET)))).all().get();
            check(get("/config/topics/" + TOPIC).contains("3600000"), "config not in ZooKeeper");
            until(20, "topic config seen", () -> admin.describeConfigs(List.of(r)).all().get().get(r)
                    .get("retention.ms").value().equals("3600000"));
            // broker configuration, dynamic
            ConfigResource b = new ConfigResource(ConfigResource.Type.BROKER, "");
            admin.incrementalAlterConfigs(Map.of(b, List.of(
                    new AlterConfigOp(new ConfigEntry("log.cleaner.threads", "2"), AlterConfigOp.OpType.SET)))).all().get();
            check(get("/config/brokers/<default>").contains("log.cleaner.threads"), "broker default not in ZooKeeper");
            // client quota
            ClientQuotaEntity q = new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, "ox"));
            admin.alterClientQuotas(List.of(new ClientQuotaAlteration(q,
                    List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 10_000_000.0))))).all().get();
            check(get("/config/users/ox").contains("producer_byte_rate"), "quota not in ZooKeeper");
            say("configuration changes");

            // more partitions, reassignment, leader election
            admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(6))).all().get();
            until(20, "6 partitions", () -> describe(admin, TOPIC).partitions().size() == 6);
            TopicPartition p0 = new TopicPartition(TOPIC, 0);
            List<Integer> now = new ArrayList<>();
            describe(admin, TOPIC).partitions().get(0).replicas().forEach(n -> now.add(n.id()));
            List<Integer> turned = new ArrayList<>(now);
            Collections.reverse(turned);
            admin.alterPartitionReassignments(Map.of(p0, Optional.of(new NewPartitionReassignment(turned)))).all().get();
            until(30, "reassigned", () -> admin.listPartitionReassignments().reassignments().get().isEmpty()
                    && ids(describe(admin, TOPIC).partitions().get(0)).equals(turned));
            try {
                admin.electLeaders(ElectionType.PREFERRED, Set.of(p0)).all().get();
            } catch (ExecutionException e) {
                check(e.getCause() instanceof ElectionNotNeededException, "electLeaders: " + e.getCause());
            }
            until(30, "preferred leader", () -> describe(admin, TOPIC).partitions().get(0).leader().id() == turned.get(0));
            say("partitions, reassignment, election");

            // SCRAM credentials live in ZooKeeper; "ox" was made with kafka-configs --zookeeper before the start
            Map<String, Object> ox = scram("ox", "ox-secret");
            aclCycle(admin, ox);
            admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("late",
                    new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "late-secret"))).all().get();
            check(get("/config/users/late").contains("SCRAM-SHA-256"), "credential not in ZooKeeper");
            until(30, "new SCRAM user logs in", () -> {
                try (Admin s = Admin.create(scram("late", "late-secret"))) {
                    return s.describeCluster().nodes().get(5, TimeUnit.SECONDS).size() == 2;
                }
            });
            boolean refused = false;
            try (Admin s = Admin.create(scram("late", "wrong"))) {
                s.describeCluster().nodes().get(10, TimeUnit.SECONDS);
            } catch (ExecutionException e) {
                refused = e.getCause() instanceof SaslAuthenticationException;
            }
            check(refused, "a wrong SCRAM password was let in");
            say("SCRAM");

            // deletion
            create(admin, "ox-gone", 3);
            produce("ox-gone", 0, 100, plain(bootstrap));
            admin.deleteTopics(List.of("ox-gone")).all().get();
            until(40, "topic deleted", () -> zk.exists("/brokers/topics/ox-gone", false) == null
                    && zk.exists("/admin/delete_topics/ox-gone", false) == null
                    && !admin.listTopics().names().get().contains("ox-gone"));
            create(admin, "ox-gone", 2);
            say("topic deleted and made again");

            // a transaction, which takes producer ids from /latest_producer_id_block
            Map<String, Object> p = plain(bootstrap);
            p.put("transactional.id", "ox-tx");
            try (KafkaProducer<Integer, String> t = new KafkaProducer<>(p, new IntegerSerializer(), new StringSerializer())) {
                t.initTransactions();
                t.beginTransaction();
                for (int i = 0; i < 20; i++) {
                    t.send(new ProducerRecord<>("ox-gone", i, "tx" + i));
                }
                t.commitTransaction();
            }
            check(get("/latest_producer_id_block").contains("block_start"), "no producer id block in ZooKeeper");
            say("transaction");
        }
    }

    static void aclCycle(Admin admin, Map<String, Object> user) throws Exception {
        ResourcePattern topic = new ResourcePattern(ResourceType.TOPIC, TOPIC, PatternType.LITERAL);
        AclBinding deny = new AclBinding(topic, new AccessControlEntry("User:ox", "*", AclOperation.WRITE, AclPermissionType.DENY));
        AclBinding allow = new AclBinding(topic, new AccessControlEntry("User:ox", "*", AclOperation.ALL, AclPermissionType.ALLOW));
        admin.createAcls(List.of(allow, deny,
                new AclBinding(new ResourcePattern(ResourceType.GROUP, "ox-", PatternType.PREFIXED),
                        new AccessControlEntry("User:ox", "*", AclOperation.READ, AclPermissionType.ALLOW)))).all().get();
        check(get("/kafka-acl/Topic/" + TOPIC).contains("User:ox"), "ACL not in ZooKeeper");
        check(get("/kafka-acl-extended/prefixed/Group/ox-").contains("User:ox"), "prefixed ACL not in ZooKeeper");
        until(30, "the deny ACL works", () -> !writes(user));
        admin.deleteAcls(List.of(deny.toFilter())).all().get();
        until(30, "writing is allowed again", () -> writes(user));
        check(admin.describeAcls(AclBindingFilter.ANY).values().get().size() == 2, "describeAcls");
        say("ACLs");
    }

    static boolean writes(Map<String, Object> conf) {
        Map<String, Object> c = new HashMap<>(conf);
        c.put("enable.idempotence", "false");
        c.put("max.block.ms", "8000");
        try (KafkaProducer<Integer, String> p = new KafkaProducer<>(c, new IntegerSerializer(), new StringSerializer())) {
            p.send(new ProducerRecord<>(TOPIC, -1, "acl probe")).get(10, TimeUnit.SECONDS);
            return true;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof TopicAuthorizationException) {
                return false;
            }
            throw new RuntimeException(e);
        } catch (Exception e) {
            throw new RuntimeException(e);
        }
    }

    /** After kill -9 of the controller. */
    static void failover(int dead, int alive, int epochBefore) throws Exception {
        long t0 = System.currentTimeMillis();
        until(60, "/controller moved off " + dead, () -> controller() == alive);
        say("controller moved after " + (System.currentTimeMillis() - t0) + " ms");
        check(Integer.parseInt(get("/controller_epoch")) > epochBefore, "controller epoch did not grow");
        until(30, "dead broker is out of /brokers/ids", () -> ids().equals(List.of(String.valueOf(alive))));
        try (Admin admin = admin()) {
            until(60, "all leaders on the survivor", () -> {
                for (TopicPartitionInfo p : describe(admin, TOPIC).partitions()) {
                    if (p.leader() == null || p.leader().id() != alive) {
                        return false;
                    }
                }
                return true;
            });
            produce(TOPIC, 20000, 500, plain(bootstrap));
            consume(TOPIC, 10500, plain(bootstrap), "g" + System.nanoTime());
            say("produced and consumed on the survivor");
        }
    }

    static void rejoin() throws Exception {
        until(90, "two brokers again", () -> ids().size() == 2);
        try (Admin admin = admin()) {
            until(90, "all replicas in sync", () -> {
                for (TopicPartitionInfo p : describe(admin, TOPIC).partitions()) {
                    if (p.isr().size() != 2) {
                        return false;
                    }
                }
                return true;
            });
            say("replicas in sync");
        }
    }

    // ---- tools -----------------------------------------------------------------------------

    interface Cond {
        boolean ok() throws Exception;
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
            Thread.sleep(250);
        }
        if (last != null) {
            last.printStackTrace();
        }
        check(false, "waited " + seconds + " s for: " + what);
    }

    static void check(boolean ok, String what) {
        if (!ok) {
            System.out.println("NOT OK: " + what);
            System.out.flush();
            System.exit(1);
        }
    }

    static void say(String s) {
        System.out.println("ok: " + s);
        System.out.flush();
    }

    static String get(String path) throws Exception {
        byte[] d = zk.getData(path, false, null);
        return d == null ? "" : new String(d, StandardCharsets.UTF_8);
    }

    static List<String> ids() throws Exception {
        return zk.getChildren("/brokers/ids", false);
    }

    static int controller() throws Exception {
        Matcher m = Pattern.compile("\"brokerid\":(\\d+)").matcher(get("/controller"));
        return m.find() ? Integer.parseInt(m.group(1)) : -1;
    }

    static List<Integer> ids(TopicPartitionInfo p) {
        List<Integer> l = new ArrayList<>();
        p.replicas().forEach(n -> l.add(n.id()));
        return l;
    }

    static Map<String, Object> plain(String bootstrap) {
        Map<String, Object> m = new HashMap<>();
        m.put("bootstrap.servers", bootstrap);
        m.put("request.timeout.ms", "15000");
        m.put("default.api.timeout.ms", "30000");
        return m;
    }

    static Map<String, Object> scram(String user, String pass) {
        Map<String, Object> m = plain(saslBootstrap);
        m.put("security.protocol", "SASL_PLAINTEXT");
        m.put("sasl.mechanism", "SCRAM-SHA-256");
        m.put("sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\""
                + user + "\" password=\"" + pass + "\";");
        return m;
    }

    static Admin admin() {
        return Admin.create(plain(bootstrap));
    }

    static TopicDescription describe(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).all().get().get(topic);
    }

    static void create(Admin admin, String topic, int parts) throws Exception {
        until(40, "create " + topic, () -> {
            try {
                admin.createTopics(List.of(new NewTopic(topic, parts, (short) 2))).all().get();
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof TopicExistsException)) {
                    throw e;
                }
            }
            return true;
        });
        until(20, topic + " is visible", () -> describe(admin, topic).partitions().size() == parts);
    }

    static void produce(String topic, int from, int n, Map<String, Object> conf) throws Exception {
        Map<String, Object> c = new HashMap<>(conf);
        c.put("acks", "all");
        c.put("linger.ms", "5");
        try (KafkaProducer<Integer, String> p = new KafkaProducer<>(c, new IntegerSerializer(), new StringSerializer())) {
            List<java.util.concurrent.Future<RecordMetadata>> l = new ArrayList<>();
            for (int i = from; i < from + n; i++) {
                l.add(p.send(new ProducerRecord<>(topic, i, "message " + i)));
            }
            p.flush();
            for (java.util.concurrent.Future<RecordMetadata> f : l) {
                f.get(30, TimeUnit.SECONDS);
            }
        }
    }

    static void consume(String topic, int n, Map<String, Object> conf, String group) throws Exception {
        Map<String, Object> c = new HashMap<>(conf);
        c.put("group.id", group);
        c.put("auto.offset.reset", "earliest");
        c.put("enable.auto.commit", "false");
        Set<Integer> seen = new HashSet<>();
        try (KafkaConsumer<Integer, String> k = new KafkaConsumer<>(c, new IntegerDeserializer(), new StringDeserializer())) {
            k.subscribe(List.of(topic));
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            while (seen.size() < n && System.nanoTime() < end) {
                for (ConsumerRecord<Integer, String> r : k.poll(Duration.ofMillis(500))) {
                    if (r.key() >= 0) {
                        check(r.value().equals("message " + r.key()), "wrong value " + r.value());
                        seen.add(r.key());
                    }
                }
            }
            k.commitSync();
        }
        check(seen.size() == n, "consumed " + seen.size() + " of " + n);
    }
}
