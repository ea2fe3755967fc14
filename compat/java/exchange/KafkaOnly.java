import java.io.DataInputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.StreamsGroupHeartbeatRequest;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * What is written with APIs that Ottla does not serve yet. Its records must be there when Kafka comes back, which {@link #resume}
 * shows by going on with them.
 */
final class KafkaOnly {
    /** Has a transaction open while other brokers serve the directory. */
    private static KafkaProducer<byte[], byte[]> open;
    /** Offsets per partition that the share group has acknowledged. */
    private static final Set<String> ACKNOWLEDGED = new HashSet<>();

    private KafkaOnly() {}

    static void fill() {
        Exchange.step("transactions", KafkaOnly::transactions);
        Exchange.step("consumer-group", KafkaOnly::consumerGroup);
        Exchange.step("share-group", KafkaOnly::shareGroup);
        Exchange.step("streams-group", KafkaOnly::streamsGroup);
        Exchange.step("scram-and-quotas", KafkaOnly::scramAndQuotas);
        Exchange.step("recompressed", KafkaOnly::recompressed);
        Exchange.step("cleaned", () -> Clients.cleaned(Map.of("compacted", 1L, "compacted-and-deleted", 1L, "txn-compacted", 1L)));
    }

    static void resume() {
        Exchange.step("resume-transactions", KafkaOnly::resumeTransactions);
        Exchange.step("resume-consumer-group", KafkaOnly::resumeConsumerGroup);
        Exchange.step("resume-share-group", KafkaOnly::resumeShareGroup);
    }

    private static KafkaProducer<byte[], byte[]> transactional(String id) {
        var producer = Clients.producer(
            Map.of("transactional.id", id, "linger.ms", "0", "batch.size", "200", "transaction.timeout.ms", "900000"));
        producer.initTransactions();
        return producer;
    }

    /**
     * Two producers whose transactions overlap, over many segments, every third aborted; and one that stays open. Also in a topic
     * that is compacted, and with offsets of a group.
     */
    private static String transactions() throws Exception {
        for (String topic : List.of("txn-a", "txn-b")) Clients.create(topic, 1, Map.of("segment.ms", "20000"));
        Clients.create("txn-compacted", 1, Map.of("cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "segment.ms", "60000"));
        open = transactional("t-open");
        try (var one = transactional("t-one"); var two = transactional("t-two")) {
            for (int n = 0; n < 12; n++) {
                one.beginTransaction();
                two.beginTransaction();
                round(one, n * 20);
                round(two, n * 20 + 5);
                round(one, n * 20 + 10);
                one.sendOffsetsToTransaction(
                    Map.of(Clients.partition("txn-a", 0), new OffsetAndMetadata(n)), group("g-txn"));
                end(one, n % 3 == 0);
                Fill.oneByOne("txn-a", n * 20 + 15, n * 20 + 17, 1000);
                end(two, n % 4 == 1);
                if (n == 6) {
                    open.beginTransaction();
                    Clients.send(open, "txn-b", 0, 1000, 1010, 1000);
                }
            }
        }
        Clients.send(open, "txn-a", 0, 1010, 1015, 1000);
        open.sendOffsetsToTransaction(
            Map.of(Clients.partition("txn-a", 0), new OffsetAndMetadata(77)), group("g-txn-open"));
        return "24 of two producers, 7 aborted, 1 open";
    }

    /** A group without members: its offsets are committed by transactions alone. */
    private static ConsumerGroupMetadata group(String id) {
        try (var consumer = Clients.consumer(Map.of("group.id", id, "group.protocol", "classic"))) {
            return consumer.groupMetadata();
        }
    }

    private static void round(KafkaProducer<byte[], byte[]> producer, int from) throws Exception {
        for (String topic : List.of("txn-a", "txn-b", "txn-compacted")) {
            Clients.send(producer, topic, 0, from, from + 3, topic.equals("txn-compacted") ? 13 : 1000);
        }
    }

    private static void end(KafkaProducer<byte[], byte[]> producer, boolean abort) {
        if (abort) producer.abortTransaction(); else producer.commitTransaction();
    }

    private static String resumeTransactions() throws Exception {
        open.commitTransaction();
        open.beginTransaction();
        Clients.send(open, "txn-a", 0, 2000, 2003, 1000);
        open.abortTransaction();
        try (var one = transactional("t-one"); var committed = Clients.consumer(Map.of("isolation.level", "read_committed"))) {
            one.beginTransaction();
            round(one, 3000);
            one.commitTransaction();
            var end = committed.endOffsets(List.of(Clients.partition("txn-b", 0)));
            committed.assign(end.keySet());
            committed.seekToBeginning(end.keySet());
            Set<String> got = new HashSet<>();
            Clients.until("the records of the open transaction, and those after it, are there", () -> {
                for (ConsumerRecord<byte[], byte[]> r : committed.poll(Duration.ofMillis(100))) got.add(new String(r.key()));
                return got.contains("key-" + 3002 % 1000);
            });
            // Written by the open transaction and by nobody else: 1000..1010 modulo 1000 are those of other rounds too.
            var at = Clients.get(Clients.admin.listConsumerGroupOffsets("g-txn-open").partitionsToOffsetAndMetadata());
            long offset = at.get(Clients.partition("txn-a", 0)).offset();
            if (offset != 77) throw new AssertionError("the transaction's offset is " + offset);
        }
        return "what was open is committed";
    }

    private static KafkaConsumer<byte[], byte[]> member(String group) {
        return Clients.consumer(Map.of("group.id", group, "group.protocol", "consumer", "group.instance.id", "static-one",
            "max.poll.records", "60"));
    }

    /** KIP-848. Its static member leaves for a while only: its records stay. */
    private static String consumerGroup() throws Exception {
        try (var consumer = member("g-consumer")) {
            consumer.subscribe(List.of("plain-snappy"));
            int got = Clients.poll(consumer, 100);
            consumer.commitSync(Duration.ofSeconds(30));
            return got + " records";
        }
    }

    private static String resumeConsumerGroup() throws Exception {
        var before = Clients.get(Clients.admin.listConsumerGroupOffsets("g-consumer").partitionsToOffsetAndMetadata());
        try (var consumer = member("g-consumer")) {
            consumer.subscribe(List.of("plain-snappy"));
            Clients.until("a record at a committed offset arrives", () -> {
                boolean found = false;
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(100))) {
                    var committed = before.get(Clients.partition(r.topic(), r.partition()));
                    if (committed != null && r.offset() < committed.offset()) {
                        throw new AssertionError(r.topic() + "-" + r.partition() + " begins again at " + r.offset());
                    }
                    found = true;
                }
                return found;
            });
        }
        return "from the committed offsets on";
    }

    private static int share(int count, boolean mayRepeat) throws Exception {
        int[] got = {0};
        var config = Clients.properties(Map.of("group.id", "g-share", "share.acknowledgement.mode", "explicit", "max.poll.records", "20"));
        try (var consumer = new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("plain-none"));
            Clients.until(count + " records are shared", () -> {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                    boolean isNew = ACKNOWLEDGED.add(r.partition() + "@" + r.offset());
                    if (!isNew && !mayRepeat) throw new AssertionError(r.offset() + " was acknowledged, and comes again");
                    consumer.acknowledge(r, AcknowledgeType.ACCEPT);
                    got[0]++;
                }
                consumer.commitSync();
                return got[0] >= count;
            });
        }
        return got[0];
    }

    private static String shareGroup() throws Exception {
        Fill.set(ConfigResource.Type.GROUP, "g-share", Map.of("share.auto.offset.reset", "earliest"));
        return share(60, false) + " records acknowledged";
    }

    private static String resumeShareGroup() throws Exception {
        return share(60, false) + " others";
    }

    /** There is no streams library among the jars: its first heartbeat is written by hand. */
    private static String streamsGroup() throws Exception {
        short version = 0;
        var topology = new StreamsGroupHeartbeatRequestData.Topology().setEpoch(1).setSubtopologies(List.of(
            new StreamsGroupHeartbeatRequestData.Subtopology().setSubtopologyId("0").setSourceTopics(List.of("plain-zstd"))));
        var data = new StreamsGroupHeartbeatRequestData().setGroupId("g-streams").setMemberId("streams-member-1").setMemberEpoch(0)
            .setRebalanceTimeoutMs(60_000).setProcessId("process-1").setTopology(topology).setActiveTasks(List.of())
            .setStandbyTasks(List.of()).setWarmupTasks(List.of());
        var request = new StreamsGroupHeartbeatRequest.Builder(data).build(version);
        ByteBuffer frame = request.serializeWithHeader(new RequestHeader(ApiKeys.STREAMS_GROUP_HEARTBEAT, version, "exchange", 1));
        String[] address = Clients.bootstrap.split(":");
        try (Socket socket = new Socket(address[0], Integer.parseInt(address[1]))) {
            ByteBuffer sized = ByteBuffer.allocate(4 + frame.remaining()).putInt(frame.remaining()).put(frame);
            socket.getOutputStream().write(sized.array());
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] answer = new byte[in.readInt()];
            in.readFully(answer);
            // Correlation id, no tags, throttle time, then the error.
            int error = ByteBuffer.wrap(answer).getShort(5 + 4);
            if (error != 0) throw new AssertionError("StreamsGroupHeartbeat answers error " + error);
        }
        return "one member";
    }

    private static String scramAndQuotas() throws Exception {
        var credential = new UserScramCredentialUpsertion("alice", new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret");
        Clients.get(Clients.admin.alterUserScramCredentials(List.of(credential)).all());
        var quota = new ClientQuotaAlteration(new ClientQuotaEntity(Map.of("user", "alice", "client-id", "app")),
            List.of(new ClientQuotaAlteration.Op("producer_byte_rate", 1_000_000.0)));
        Clients.get(Clients.admin.alterClientQuotas(List.of(quota)).all());
        Fill.set(ConfigResource.Type.CLIENT_METRICS, "subscription", Map.of("interval.ms", "60000", "metrics", "org.apache.kafka"));
        Fill.set(ConfigResource.Type.GROUP, "g-consumer", Map.of("consumer.session.timeout.ms", "50000"));
        return "a user, a quota, a subscription, a group's configuration";
    }

    /** A topic whose broker compresses. */
    private static String recompressed() throws Exception {
        Clients.create("recompressed", 1, Map.of("compression.type", "zstd"));
        try (var producer = Clients.producer(Map.of("compression.type", "gzip"))) {
            Clients.send(producer, "recompressed", 0, 0, 100, 100);
        }
        return "gzip to zstd";
    }
}
