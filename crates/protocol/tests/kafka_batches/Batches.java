import java.nio.ByteBuffer;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;

/**
 * Record sets as Kafka 4.4's own code writes them, in every magic and codec; with the jars of a Kafka on the class path:
 *   java Batches.java write DIR    makes the files of this directory
 *   java Batches.java read DIR     prints the count and a hash of the records in every file, for sets that we wrote
 */
public class Batches {
    static List<SimpleRecord> records(byte magic) {
        List<SimpleRecord> all = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            byte[] key = i % 3 == 0 ? null : ("key-" + i).getBytes();
            byte[] value = i % 5 == 0 ? null : ("value " + i + " ").repeat(i).getBytes();
            Header[] headers = magic < 2 || i % 4 != 0 ? new Header[0]
                : new Header[] { new RecordHeader("h", new byte[] {1}), new RecordHeader("h", new byte[] {2}), new RecordHeader("n", (byte[]) null) };
            all.add(new SimpleRecord(1_700_000_000_000L + i * 7 - (i % 2) * 1000, key, value, headers));
        }
        return all;
    }
    public static void main(String[] a) throws Exception {
        Path dir = Paths.get(a[1]);
        if (a[0].equals("write")) {
            for (byte magic = 0; magic <= 2; magic++)
                for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
                    if (magic < 2 && codec.equals("zstd")) continue;
                    ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
                    MemoryRecordsBuilder b = MemoryRecords.builder(buffer, magic, Compression.of(codec).build(), TimestampType.CREATE_TIME, 1000L);
                    for (SimpleRecord r : records(magic)) b.append(r);
                    MemoryRecords m = b.build();
                    byte[] out = new byte[m.buffer().remaining()];
                    m.buffer().get(out);
                    Files.write(dir.resolve("magic" + magic + "-" + codec + ".bin"), out);
                }
        } else {
            try (var files = Files.newDirectoryStream(dir, "*.bin")) { for (Path p : files) {
                MemoryRecords m = MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(p)));
                long n = 0, hash = 17; 
                for (MutableRecordBatch batch : m.batches()) { batch.ensureValid(); for (org.apache.kafka.common.record.internal.Record r : batch) { r.ensureValid(); n++;
                    hash = hash * 31 + r.offset(); hash = hash * 31 + r.timestamp(); hash = hash * 31 + (r.hasKey() ? r.keySize() : -1); hash = hash * 31 + (r.hasValue() ? r.valueSize() : -1); hash = hash * 31 + r.headers().length; } }
                System.out.println(p.getFileName() + " " + n + " " + hash);
            } }
        }
    }
}
