import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What the first broker writes with the APIs that both serve. */
final class Fill {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    /** Stays connected through all brokers: its sequences go on. */
    static KafkaProducer<byte[], byte[]> live;

    private Fill() {}

    static void all() {
        Exchange.step("codecs", Fill::codecs);
        Exchange.step("segments", Fill::segments);
        Exchange.step("roll-by-time", Fill::rollByTime);
        Exchange.step("compacted", Fill::compacted);
        Exchange.step("log-append-time", Fill::logAppendTime);
        Exchange.step("idempotent", Fill::idempotent);
        Exchange.step("delete-records", Fill::deleteRecords);
        Exchange.step("topics-come-and-go", Fill::comeAndGo);
        Exchange.step("classic-group", Fill::classicGroup);
        Exchange.step("simple-group", Fill::simpleGroup);
        Exchange.step("configs", Fill::configs);
    }

    /** Each codec, in three partitions and many batches. */
    private static String codecs() throws Exception {
        for (String codec : CODECS) {
            String topic = "plain-" + codec;
            Clients.create(topic, 3, Map.of());
            try (var producer = Clients.producer(Map.of("compression.type", codec, "batch.size", "2000"))) {
                for (int partition = 0; partition < 3; partition++) Clients.send(producer, topic, partition, 0, 150, 150);
            }
        }
        return CODECS.size() + " codecs";
    }

    /** Segments of the least size that Kafka allows, with a dense index. */
    private static String segments() throws Exception {
        Clients.create("segments", 1, Map.of("segment.bytes", "1048576", "index.interval.bytes", "1000"));
        sendLarge("segments", 0, 400);
        return "5 MB";
    }

    /** Values of 12 KiB that no codec makes smaller. */
    static void sendLarge(String topic, int from, int to) throws Exception {
        try (var producer = Clients.producer(Map.of("compression.type", "lz4"))) {
            Future<RecordMetadata> last = null;
            for (int i = from; i < to; i++) {
                byte[] value = new byte[12 << 10];
                new Random(i).nextBytes(value);
                last = producer.send(new ProducerRecord<>(topic, 0, Clients.time(i), ("key-" + i).getBytes(), value));
            }
            producer.flush();
            Clients.get(last);
        }
    }

    /** Many small segments, since the records' own time rolls them. */
    private static String rollByTime() throws Exception {
        Clients.create("by-time", 2, Map.of("segment.ms", "10000"));
        oneByOne("by-time", 0, 120, 120);
        return "120 batches";
    }

    /** Each record in a batch of its own. */
    static void oneByOne(String topic, int from, int to, int keys) throws Exception {
        try (var producer = Clients.producer(Map.of("batch.size", "1", "linger.ms", "0"))) {
            Clients.send(producer, topic, 0, from, to, keys);
        }
    }

    /** Compacted as far as its broker compacts: what is then there is what the next one must have. */
    private static String compacted() throws Exception {
        Map<String, String> eager = Map.of("cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01",
            "segment.ms", "60000", "delete.retention.ms", "86400000");
        Clients.create("compacted", 2, eager);
        oneByOne("compacted", 0, 400, 37);
        Map<String, String> both = new HashMap<>(eager);
        both.put("cleanup.policy", "compact,delete");
        Clients.create("compacted-and-deleted", 1, both);
        oneByOne("compacted-and-deleted", 0, 200, 11);
        return "600 records";
    }

    private static String logAppendTime() throws Exception {
        Clients.create("append-time", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        for (String codec : List.of("none", "gzip")) {
            try (var producer = Clients.producer(Map.of("compression.type", codec))) {
                Clients.send(producer, "append-time", 0, 0, 50, 50);
            }
        }
        return "100 records";
    }

    private static String idempotent() throws Exception {
        Clients.create("idempotent", 2, Map.of("segment.ms", "20000"));
        live = Clients.producer(Map.of("enable.idempotence", "true", "linger.ms", "0", "batch.size", "300"));
        Clients.send(live, "idempotent", 0, 0, 100, 100);
        Clients.send(live, "idempotent", 1, 0, 100, 100);
        return "its producer lives on";
    }

    private static String deleteRecords() throws Exception {
        Clients.create("shortened", 1, Map.of("segment.ms", "10000"));
        oneByOne("shortened", 0, 100, 100);
        deleteBefore("shortened", 55);
        return "to 55";
    }

    static void deleteBefore(String topic, long offset) throws Exception {
        Clients.get(Clients.admin.deleteRecords(Map.of(Clients.partition(topic, 0), RecordsToDelete.beforeOffset(offset))).all());
    }

    private static String comeAndGo() throws Exception {
        for (String topic : List.of("doomed", "reborn", "grown")) {
            Clients.create(topic, 1, Map.of());
            oneByOne(topic, 0, 20, 20);
        }
        for (String topic : List.of("doomed", "reborn")) remove(topic);
        Clients.create("reborn", 2, Map.of("retention.ms", "-1"));
        oneByOne("reborn", 100, 130, 30);
        growByOne("grown");
        growByOne("grown");
        return "doomed went, reborn came again, grown has 3 partitions";
    }

    static void remove(String topic) throws Exception {
        Clients.get(Clients.admin.deleteTopics(List.of(topic)).all());
        Clients.until(topic + " is gone", () -> !Clients.get(Clients.admin.listTopics().names()).contains(topic));
    }

    private static int partitions(String topic) throws Exception {
        return Clients.get(Clients.admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().size();
    }

    static int growByOne(String topic) throws Exception {
        int partitions = partitions(topic) + 1;
        Clients.get(Clients.admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(partitions))).all());
        Clients.until(topic + " has grown", () -> partitions(topic) == partitions);
        Clients.awaitLeaders(topic, partitions);
        try (var producer = Clients.producer(Map.of())) {
            Clients.send(producer, topic, partitions - 1, 0, 20, 20);
        }
        return partitions;
    }

    /** A classic group that consumed a part and committed where it was. */
    private static String classicGroup() throws Exception {
        return consume("g-classic", "plain-lz4", 100) + " records";
    }

    static int consume(String group, String topic, int count) throws Exception {
        Map<String, String> classic =
            Map.of("group.id", group, "group.protocol", "classic", "max.poll.records", "50", "session.timeout.ms", "10000");
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer(classic)) {
            consumer.subscribe(List.of(topic));
            int got = Clients.poll(consumer, count);
            consumer.commitSync();
            return got;
        }
    }

    /** A group that never had members, with metadata; one that is deleted again. */
    private static String simpleGroup() throws Exception {
        commit("g-simple", "plain-none", 7, "a note");
        commit("g-removed", "plain-none", 8, "");
        Clients.get(Clients.admin.deleteConsumerGroups(List.of("g-removed")).all());
        return "g-simple is there, g-removed is not";
    }

    static void commit(String group, String topic, long offset, String note) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (int partition = 0; partition < 3; partition++) {
            offsets.put(Clients.partition(topic, partition), new OffsetAndMetadata(offset + partition, note));
        }
        Clients.get(Clients.admin.alterConsumerGroupOffsets(group, offsets).all());
    }

    private static String configs() throws Exception {
        set(ConfigResource.Type.TOPIC, "plain-gzip", Map.of("retention.ms", "864000000", "max.message.bytes", "500000"));
        set(ConfigResource.Type.TOPIC, "plain-gzip", Map.of("min.insync.replicas", "1", "flush.messages", "1000"));
        set(ConfigResource.Type.BROKER, "", Map.of("log.retention.ms", "700000000", "max.connections", "1000"));
        set(ConfigResource.Type.BROKER, "1", Map.of("message.max.bytes", "2000000", "log.cleaner.threads", "2"));
        return "of a topic, of all brokers and of one";
    }

    /** Sets, or with a value of null deletes. */
    static void set(ConfigResource.Type type, String name, Map<String, String> values) throws Exception {
        var ops = values.entrySet().stream()
            .map(e -> new AlterConfigOp(new ConfigEntry(e.getKey(), e.getValue().isEmpty() ? null : e.getValue()),
                e.getValue().isEmpty() ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET))
            .toList();
        Clients.get(Clients.admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name), ops)).all());
    }
}
