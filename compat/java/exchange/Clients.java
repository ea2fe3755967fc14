import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Connections to whoever serves the directory now, and waiting. */
final class Clients {
    static final long PATIENCE_MS = 60_000;
    static String bootstrap;
    static Admin admin;

    private Clients() {}

    static void connect(String address) {
        bootstrap = address;
        admin = Admin.create(properties(Map.of()));
    }

    static Properties properties(Map<String, ?> own) {
        Properties all = new Properties();
        all.put("bootstrap.servers", bootstrap);
        all.put("enable.metrics.push", "false");
        // The brokers change under the clients: they look again soon.
        all.put("reconnect.backoff.max.ms", "200");
        all.put("metadata.max.age.ms", "2000");
        all.putAll(own);
        return all;
    }

    static KafkaProducer<byte[], byte[]> producer(Map<String, ?> own) {
        return new KafkaProducer<>(properties(own), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Map<String, ?> own) {
        Properties all = properties(own);
        all.putIfAbsent("enable.auto.commit", "false");
        all.putIfAbsent("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static <T> T get(Future<T> future) throws Exception {
        try {
            return future.get(PATIENCE_MS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception cause ? cause : e;
        }
    }

    /** Polls until it holds. */
    static void until(String what, Callable<Boolean> holds) throws Exception {
        long end = System.nanoTime() + PATIENCE_MS * 1_000_000;
        while (!holds.call()) {
            if (System.nanoTime() > end) throw new AssertionError("not within " + PATIENCE_MS + " ms: " + what);
            Thread.sleep(50);
        }
    }

    /**
     * Makes a topic and waits until its partitions are led. Without that the first of several batches in flight may be refused and
     * the second be taken: of a producer that it does not know a leader takes any sequence, and the first never fits again.
     */
    static void create(String topic, int partitions, Map<String, String> configs) throws Exception {
        get(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all());
        awaitLeaders(topic, partitions);
    }

    static void awaitLeaders(String topic, int partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        for (int partition = 0; partition < partitions; partition++) latest.put(partition(topic, partition), OffsetSpec.latest());
        until(topic + " is led", () -> {
            try {
                get(admin.listOffsets(latest).all());
                return true;
            } catch (UnknownTopicOrPartitionException e) {
                return false; // the broker has not heard of it yet
            }
        });
    }

    /**
     * Sends records {@code from..to} to a partition and waits for all of them. Keys repeat after {@code keys}; every tenth value is
     * null, every seventh long; timestamps are those of {@link #time}.
     */
    static void send(KafkaProducer<byte[], byte[]> producer, String topic, int partition, int from, int to, int keys)
            throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = from; i < to; i++) sent.add(producer.send(record(topic, partition, i, keys)));
        producer.flush();
        for (Future<RecordMetadata> one : sent) get(one);
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int partition, int i, int keys) {
        String value = topic + "-" + i + " ";
        byte[] bytes = i % 10 == 9 ? null : value.repeat(i % 7 == 0 ? 60 : 1).getBytes();
        Headers headers = new RecordHeaders();
        if (i % 3 == 0) headers.add("tag", topic.getBytes()).add("tag", null);
        return new ProducerRecord<>(topic, partition, time(i), ("key-" + i % keys).getBytes(), bytes, headers);
    }

    private static final long DAY_AGO_MS = System.currentTimeMillis() - 86_400_000L;

    /** Timestamps climb by a second, and every eleventh falls back. */
    static long time(int i) {
        return DAY_AGO_MS + i * 1_000L - (i % 11 == 0 ? 5_000 : 0);
    }

    /** The next records of an assigned or subscribed consumer, at least {@code count}. */
    static int poll(KafkaConsumer<byte[], byte[]> consumer, int count) throws Exception {
        int[] got = {0};
        until(count + " records arrive", () -> (got[0] += consumer.poll(Duration.ofMillis(100)).count()) >= count);
        return got[0];
    }

    /** Waits until the broker's cleaner has left nothing below these offsets of the first partitions. */
    static String cleaned(Map<String, Long> below) throws Exception {
        for (var topic : below.entrySet()) {
            TopicPartition first = partition(topic.getKey(), 0);
            try (var consumer = consumer(Map.of())) {
                consumer.assign(List.of(first));
                until(topic.getKey() + " is cleaned", () -> {
                    consumer.seekToBeginning(List.of(first));
                    for (var r : consumer.poll(Duration.ofMillis(300))) return r.offset() >= topic.getValue();
                    return false;
                });
            }
        }
        return below.size() + " topics";
    }

    static TopicPartition partition(String topic, int partition) {
        return new TopicPartition(topic, partition);
    }
}
