// Writes record sets with the encoders of Apache Kafka's Java client, kafka-clients 3.9.1, into the current folder.
// Class path: kafka-clients 3.9.1 and what it depends on (lz4-java 1.8.0, snappy-java 1.1.10.5, zstd-jni 1.5.6-4, slf4j-api 1.7.36).
// java -cp CLASSPATH Generate.java

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.*;

public class Generate {
    static final Header[] HEADERS = {
        new RecordHeader("trace", bytes("1")), new RecordHeader("trace", bytes("2")),
        new RecordHeader("empty", bytes("")), new RecordHeader("null", (byte[]) null)};

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static MemoryRecordsBuilder builder(int magic, CompressionType codec, TimestampType type, long producerId, int epoch, int sequence) {
        return MemoryRecords.builder(ByteBuffer.allocate(1 << 20), (byte) magic, Compression.of(codec).build(), type, 0L,
            type == TimestampType.LOG_APPEND_TIME ? 1700000009999L : -1L, producerId, (short) epoch, sequence);
    }

    static void small(MemoryRecordsBuilder builder, int magic) {
        Header[] none = {};
        builder.append(time(magic, 1700000000000L), bytes("k0"), bytes("first"), magic == 2 ? HEADERS : none);
        builder.append(time(magic, 1700000000123L), null, bytes(""), none);
        builder.append(time(magic, 1699999999000L), bytes(""), bytes("GET /index.html 200 ".repeat(50)), none);
        builder.append(time(magic, 1700000000001L), bytes("k3"), null, none);
    }

    static long time(int magic, long timestamp) {
        return magic == 0 ? -1L : timestamp;
    }

    static void write(String name, MemoryRecordsBuilder builder) throws Exception {
        ByteBuffer buffer = builder.build().buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        Files.write(Path.of("java-" + name + ".bin"), bytes);
    }

    public static void main(String[] arguments) throws Exception {
        for (int magic = 0; magic <= 2; magic++) {
            TimestampType type = magic == 0 ? TimestampType.NO_TIMESTAMP_TYPE : TimestampType.CREATE_TIME;
            for (CompressionType codec : CompressionType.values()) {
                if (codec == CompressionType.ZSTD && magic < 2)
                    continue;
                String name = "v" + magic + "-" + codec.name + "-";
                MemoryRecordsBuilder small = builder(magic, codec, type, -1L, -1, -1);
                small(small, magic);
                write(name + "small", small);
                if (codec == CompressionType.NONE)
                    continue;
                MemoryRecordsBuilder large = builder(magic, codec, type, -1L, -1, -1);
                large.append(time(magic, 1700000000000L), null, bytes("abcdefghij".repeat(7000)));
                write(name + "large", large);
            }
        }
        for (int magic = 1; magic <= 2; magic++) {
            MemoryRecordsBuilder appended = builder(magic, CompressionType.GZIP, TimestampType.LOG_APPEND_TIME, -1L, -1, -1);
            small(appended, magic);
            write("v" + magic + "-gzip-append", appended);
        }
        MemoryRecordsBuilder idempotent = builder(2, CompressionType.NONE, TimestampType.CREATE_TIME, 4711L, 3, 17);
        small(idempotent, 2);
        write("v2-none-idempotent", idempotent);
    }
}
