import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.config.ConfigResource;

/** What the broker that was given the directory writes behind it. */
final class More {
    private More() {}

    static void all(String who) {
        Exchange.step("more-records", More::records);
        Exchange.step("more-cleaned", () -> cleaned(who.equals("again") ? 600 : 400));
        Exchange.step("more-sequences", More::sequences);
        Exchange.step("more-topics", () -> topics(who));
        Exchange.step("more-commits", () -> commits(who));
        Exchange.step("more-configs", () -> configs(who));
    }

    private static String records() throws Exception {
        for (String codec : Fill.CODECS) {
            try (var producer = Clients.producer(Map.of("compression.type", codec, "batch.size", "2000"))) {
                for (int partition = 0; partition < 3; partition++) {
                    Clients.send(producer, "plain-" + codec, partition, 150, 220, 220);
                }
                Clients.send(producer, "append-time", 0, 50, 80, 80);
            }
        }
        Fill.sendLarge("segments", 400, 600);
        Fill.oneByOne("by-time", 120, 180, 180);
        Fill.oneByOne("shortened", 100, 130, 130);
        Fill.deleteBefore("shortened", 70);
        return "records of every codec, over rolls";
    }

    /** Every key again, over rolls, so that this broker's cleaner leaves nothing of what others wrote and compacted. */
    private static String cleaned(int from) throws Exception {
        var ends = Clients.get(Clients.admin.listOffsets(Map.of(Clients.partition("compacted", 0), OffsetSpec.latest(),
            Clients.partition("compacted-and-deleted", 0), OffsetSpec.latest())).all());
        Map<String, Long> below = new HashMap<>();
        ends.forEach((p, end) -> below.put(p.topic(), end.offset()));
        Fill.oneByOne("compacted", from, from + 120, 41);
        Fill.oneByOne("compacted-and-deleted", from, from + 120, 13);
        return Clients.cleaned(below);
    }

    /** The producer from before goes on with its id and its sequences. */
    private static String sequences() throws Exception {
        Clients.send(Fill.live, "idempotent", 0, 100, 200, 200);
        Clients.send(Fill.live, "idempotent", 1, 100, 200, 200);
        return "the producer from before goes on";
    }

    private static String topics(String who) throws Exception {
        Clients.create("born-on-" + who, 2, Map.of("segment.ms", "10000", "compression.type", "gzip"));
        try (var producer = Clients.producer(Map.of("compression.type", "lz4"))) {
            Clients.send(producer, "born-on-" + who, 1, 0, 50, 50);
        }
        Fill.remove("reborn");
        Clients.create("reborn", 1, Map.of());
        Fill.oneByOne("reborn", 200, 210, 10);
        int partitions = Fill.growByOne("grown");
        return "born-on-" + who + ", reborn once more, grown to " + partitions + " partitions";
    }

    private static String commits(String who) throws Exception {
        Fill.consume("g-classic", "plain-lz4", 50);
        Fill.commit("g-simple", "plain-none", 20, "by " + who);
        Fill.commit("g-of-" + who, "plain-zstd", 30, "");
        return "g-classic and g-simple went on, g-of-" + who + " is new";
    }

    private static String configs(String who) throws Exception {
        set("plain-gzip", Map.of("retention.ms", "", "max.message.bytes", "600000"));
        set("segments", Map.of("index.interval.bytes", "2000"));
        Fill.set(ConfigResource.Type.BROKER, "", Map.of("log.retention.ms", who.equals("kafka") ? "800000000" : "900000000"));
        Fill.set(ConfigResource.Type.BROKER, "1", Map.of("log.cleaner.threads", "", "compression.gzip.level", "3"));
        return "plain-gzip, segments, all brokers and one";
    }

    private static void set(String topic, Map<String, String> values) throws Exception {
        Fill.set(ConfigResource.Type.TOPIC, topic, values);
    }
}
