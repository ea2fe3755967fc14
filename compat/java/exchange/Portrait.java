import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.zip.CRC32;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/**
 * Everything that a client can see of a broker, one fact a line: {@code kind TAB key TAB value}. Two portraits are compared by the
 * runner. A kind whose API is not served is written as {@code unserved TAB kind}.
 */
final class Portrait {
    /** Topics of which a broker may compact records away: their facts are kinds of their own. */
    private static final TreeSet<String> COMPACTED = new TreeSet<>(List.of("compacted", "compacted-and-deleted", "txn-compacted"));
    private static final HexFormat HEX = HexFormat.of();

    private final TreeSet<String> facts = new TreeSet<>();
    private Map<String, TopicDescription> topics;

    private interface Look {
        void look() throws Exception;
    }

    String write(String file) throws Exception {
        topics();
        configs();
        records("read_uncommitted");
        records("read_committed");
        offsets();
        groups();
        served("producer", this::producers);
        served("transaction", this::transactions);
        served("scram", this::scram);
        served("quota", this::quotas);
        served("resource", this::resources);
        Files.write(Path.of(file), facts);
        return facts.size() + " facts";
    }

    private void served(String kind, Look look) throws Exception {
        try {
            look.look();
        } catch (UnsupportedVersionException | GroupIdNotFoundException | InvalidRequestException e) {
            // The client falls back to the older description of groups, which knows of classic ones only.
            facts.add("unserved\t" + kind + "\t");
        }
    }

    private void fact(String kind, Object key, Object value) {
        facts.add((kind + "\t" + key + "\t" + value).replace('\n', ' '));
    }

    private void topics() throws Exception {
        var names = Clients.get(Clients.admin.listTopics(new ListTopicsOptions().listInternal(true)).names());
        topics = new TreeMap<>(Clients.get(Clients.admin.describeTopics(names).allTopicNames()));
        topics.forEach((name, topic) -> fact("topic", name, topic.topicId() + " " + topic.partitions().size() + " partitions"));
    }

    private void configs() throws Exception {
        List<ConfigResource> asked = new ArrayList<>();
        topics.keySet().forEach(topic -> asked.add(new ConfigResource(ConfigResource.Type.TOPIC, topic)));
        for (String broker : List.of("", "1")) asked.add(new ConfigResource(ConfigResource.Type.BROKER, broker));
        Clients.get(Clients.admin.describeConfigs(asked).all()).forEach((resource, config) -> {
            for (ConfigEntry entry : config.entries()) {
                // What is changed at run time lies in the directory; the rest is in the properties that both read.
                if (entry.source().name().startsWith("DYNAMIC")) {
                    fact("config", resource.type() + "/" + resource.name() + "/" + entry.name(), entry.source() + " " + entry.value());
                }
            }
        });
    }

    private boolean isInternal(String topic) {
        return topic.startsWith("__");
    }

    private List<TopicPartition> partitions() {
        List<TopicPartition> all = new ArrayList<>();
        topics.forEach((name, topic) -> topic.partitions().forEach(p -> all.add(new TopicPartition(name, p.partition()))));
        return all;
    }

    /** Every record from the beginning to the end that this isolation level shows. */
    private void records(String isolation) throws Exception {
        boolean committed = isolation.equals("read_committed");
        List<TopicPartition> all = partitions();
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer(Map.of("isolation.level", isolation, "check.crcs", "true"))) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> starts = consumer.beginningOffsets(all), ends = consumer.endOffsets(all);
            all.forEach(p -> {
                if (!isInternal(p.topic())) fact(committed ? "stable" : "range", p, (committed ? "" : starts.get(p) + "..") + ends.get(p));
            });
            Clients.until("everything is read", () -> {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(50))) note(r, committed);
                return all.stream().allMatch(p -> consumer.position(p) >= ends.get(p));
            });
        }
    }

    private void note(ConsumerRecord<byte[], byte[]> r, boolean committed) {
        String at = r.topic() + "-" + r.partition() + "@" + r.offset();
        if (isInternal(r.topic())) {
            if (!committed) fact("internal", at, type(r.key()) + " " + bytes(r.key()) + " " + bytes(r.value()));
        } else if (committed) {
            fact(COMPACTED.contains(r.topic()) ? "kept-committed" : "committed", at, bytes(r.key()));
        } else {
            String value = r.leaderEpoch().orElse(-1) + " " + r.timestampType() + " " + r.timestamp() + " " + bytes(r.key()) + " "
                + bytes(r.value()) + " " + Arrays.toString(Arrays.stream(r.headers().toArray()).map(h -> h.key() + "=" + bytes(h.value())).toArray());
            fact(COMPACTED.contains(r.topic()) ? "kept" : "record", at, value);
        }
    }

    /** The number that begins the keys of internal topics. */
    private static int type(byte[] key) {
        return key == null || key.length < 2 ? -1 : ByteBuffer.wrap(key).getShort();
    }

    private static String bytes(byte[] bytes) {
        if (bytes == null) return "null";
        if (bytes.length <= 40) return HEX.formatHex(bytes);
        CRC32 crc = new CRC32();
        crc.update(bytes);
        return bytes.length + ":" + HEX.toHexDigits((int) crc.getValue());
    }

    /** Searches by time: in a topic of each kind of timestamps. */
    private void offsets() throws Exception {
        List<OffsetSpec> specs = List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.maxTimestamp(),
            OffsetSpec.forTimestamp(Clients.time(1)), OffsetSpec.forTimestamp(Clients.time(77)), OffsetSpec.forTimestamp(Clients.time(119)));
        for (int i = 0; i < specs.size(); i++) {
            Map<TopicPartition, OffsetSpec> asked = new TreeMap<>((a, b) -> a.toString().compareTo(b.toString()));
            for (TopicPartition p : partitions()) {
                // What Kafka finds below a log start depends on whether the segment is removed already.
                boolean shortened = i > 2 && p.topic().equals("shortened");
                if (!isInternal(p.topic()) && !COMPACTED.contains(p.topic()) && !shortened) asked.put(p, specs.get(i));
            }
            String name = List.of("earliest", "latest", "max-timestamp", "1", "77", "119").get(i);
            // Where there is no record the epoch is the leader's, which is another after each start.
            Clients.get(Clients.admin.listOffsets(asked).all()).forEach((p, found) -> fact("found", p + " " + name,
                found.offset() + " " + found.timestamp() + (found.timestamp() < 0 ? "" : " " + found.leaderEpoch().orElse(-1))));
        }
    }

    private void groups() throws Exception {
        for (var group : Clients.get(Clients.admin.listGroups().all())) {
            boolean classic = group.type().equals(java.util.Optional.of(GroupType.CLASSIC));
            String state = group.groupState().map(Object::toString).orElse("");
            // Of a group of another type Ottla knows that it is there.
            fact("group", group.groupId(), group.type().map(Object::toString).orElse("") + " " + group.protocol() + (classic ? " " + state : ""));
            if (classic) {
                fact("offsets", group.groupId(), offsets(group.groupId()));
            } else if (group.type().equals(java.util.Optional.of(GroupType.CONSUMER))) {
                fact("offsets", group.groupId(), offsets(group.groupId()));
                served("consumer-group", () -> fact("consumer-group", group.groupId(),
                    Clients.get(Clients.admin.describeConsumerGroups(List.of(group.groupId())).all())));
            } else if (group.type().equals(java.util.Optional.of(GroupType.SHARE))) {
                served("share-group", () -> fact("share-group", group.groupId(),
                    Clients.get(Clients.admin.describeShareGroups(List.of(group.groupId())).all())));
            }
        }
        served("streams-group", () -> {
            var found = Clients.get(Clients.admin.describeStreamsGroups(List.of("g-streams")).all()).get("g-streams");
            fact("streams-group", "g-streams", found.groupState() + " epoch " + found.groupEpoch() + " topology " + found.topologyEpoch());
        });
    }

    private String offsets(String group) throws Exception {
        var offsets = Clients.get(Clients.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        TreeSet<String> sorted = new TreeSet<>();
        offsets.forEach((p, at) -> sorted.add(p + "=" + at));
        return sorted.toString();
    }

    private void producers() throws Exception {
        List<TopicPartition> asked = partitions().stream().filter(p -> !isInternal(p.topic())).toList();
        Clients.get(Clients.admin.describeProducers(asked).all()).forEach((p, state) ->
            state.activeProducers().forEach(producer -> fact("producer", p + " " + producer.producerId(), producer)));
    }

    private void transactions() throws Exception {
        for (var listed : Clients.get(Clients.admin.listTransactions().all())) {
            String id = listed.transactionalId();
            fact("transaction", id, Clients.get(Clients.admin.describeTransactions(List.of(id)).all()).get(id));
        }
    }

    private void scram() throws Exception {
        Clients.get(Clients.admin.describeUserScramCredentials().all()).forEach((user, found) -> fact("scram", user, found.credentialInfos()));
    }

    private void quotas() throws Exception {
        Clients.get(Clients.admin.describeClientQuotas(ClientQuotaFilter.all()).entities()).forEach((entity, quota) -> fact("quota", entity.entries(), quota));
    }

    /** Configurations of resources that are no topics and no brokers. */
    private void resources() throws Exception {
        List<ConfigResource> asked = List.of(new ConfigResource(ConfigResource.Type.CLIENT_METRICS, "subscription"),
            new ConfigResource(ConfigResource.Type.GROUP, "g-consumer"), new ConfigResource(ConfigResource.Type.GROUP, "g-share"));
        Clients.get(Clients.admin.describeConfigs(asked).all()).forEach((resource, config) -> config.entries().forEach(entry -> {
            if (entry.source().name().startsWith("DYNAMIC")) fact("resource", resource + "/" + entry.name(), entry.value());
        }));
    }
}
