// Sends a file of records with Apache Kafka's Java producer and says what became of each: the contract is in ../../README.md.
// One source compiles against every kafka-clients from 2.7 on (the first that reads a PEM truststore).

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public final class Send {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** How long after the records' own time-out the program gives up on answers. */
    private static final long GRACE_MS = 8_000;

    private final ArrayNode errors = JSON.createArrayNode();
    private int delivered;

    public static void main(String[] arguments) throws Exception {
        Send send = new Send();
        try {
            send.run(JSON.readTree(System.in));
        } catch (Exception failed) {
            send.fail(-1, failed);
        }
        ObjectNode report = JSON.createObjectNode();
        report.put("delivered", send.delivered);
        report.set("errors", send.errors);
        report.put("library", "kafka-clients");
        report.put("version", AppInfoParser.getVersion());
        System.out.println(report);
        // The producer's threads are daemons of a producer that may still be waiting: do not wait for them.
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private void run(JsonNode spec) throws Exception {
        int timeoutMs = spec.get("timeout_ms").asInt();
        long begin = System.nanoTime();
        // A send may block for the whole time-out; the one after it must not do so again.
        long sendDeadline = begin + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        long deadline = begin + TimeUnit.MILLISECONDS.toNanos(timeoutMs + GRACE_MS);
        List<ProducerRecord<byte[], byte[]>> records = read(spec);
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<byte[], byte[]>(properties(spec, timeoutMs));
        Map<Integer, Future<?>> sent = new TreeMap<Integer, Future<?>>();
        for (int at = 0; at < records.size(); at++) {
            sendOne(producer, records.get(at), at, sendDeadline, sent);
        }
        for (Map.Entry<Integer, Future<?>> each : sent.entrySet()) {
            settle(each.getValue(), each.getKey(), deadline);
        }
        // Flushes what acks=0 has only queued.
        producer.close(Duration.ofMillis(2_000));
    }

    private void sendOne(KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record, int at,
            long deadline, Map<Integer, Future<?>> sent) {
        if (System.nanoTime() > deadline) {
            fail(at, new TimeoutException("not sent before the deadline"));
            return;
        }
        try {
            sent.put(at, producer.send(record));
        } catch (RuntimeException failed) {
            fail(at, failed);
        }
    }

    private void settle(Future<?> future, int at, long deadline) throws InterruptedException {
        try {
            future.get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
            delivered++;
        } catch (ExecutionException failed) {
            fail(at, failed.getCause());
        } catch (TimeoutException late) {
            fail(at, late);
        }
    }

    private static Properties properties(JsonNode spec, int timeoutMs) {
        Properties p = new Properties();
        p.put("bootstrap.servers", spec.get("bootstrap").asText());
        p.put("client.id", "sluice-test");
        p.put("security.protocol", "SASL_SSL");
        p.put("sasl.mechanism", "PLAIN");
        p.put("sasl.jaas.config", String.format(
                "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"%s\" password=\"%s\";",
                spec.get("user").asText(), spec.get("password").asText()));
        p.put("ssl.truststore.type", "PEM");
        p.put("ssl.truststore.location", spec.get("ca").asText());
        p.put("acks", spec.get("acks").asText());
        p.put("enable.idempotence", spec.get("idempotent").asBoolean());
        p.put("compression.type", spec.get("codec").asText());
        p.put("linger.ms", 5);
        p.put("max.block.ms", (long) timeoutMs);
        p.put("request.timeout.ms", spec.get("request_timeout_ms").asInt(timeoutMs - 1_000));
        p.put("delivery.timeout.ms", timeoutMs);
        p.put("key.serializer", ByteArraySerializer.class.getName());
        p.put("value.serializer", ByteArraySerializer.class.getName());
        return p;
    }

    private static List<ProducerRecord<byte[], byte[]>> read(JsonNode spec) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<ProducerRecord<byte[], byte[]>>();
        BufferedReader lines = Files.newBufferedReader(Paths.get(spec.get("records").asText()), StandardCharsets.UTF_8);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode r = JSON.readTree(line);
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<byte[], byte[]>(
                    spec.get("topic").asText(), null, r.get("timestamp_ms").asLong(),
                    r.get("key").binaryValue(), r.get("value").binaryValue());
            for (JsonNode header : r.get("headers")) {
                record.headers().add(header.get(0).asText(), header.get(1).binaryValue());
            }
            records.add(record);
        }
        return records;
    }

    /** {@code at} is -1 when no single record is meant. */
    private void fail(int at, Throwable failed) {
        Throwable named = codeOf(failed) == null && failed.getCause() != null ? failed.getCause() : failed;
        ObjectNode error = errors.addObject();
        error.put("record", at < 0 ? null : Integer.valueOf(at));
        error.put("code", codeOf(named));
        error.put("name", named.getClass().getSimpleName());
        error.put("text", failed.toString());
    }

    /**
     * Kafka's code, null for the client's own failures. The client's TimeoutException has the code of a broker's time-out (7)
     * but no broker said it; what the broker did say is its cause.
     */
    private static Integer codeOf(Throwable failed) {
        if (!(failed instanceof ApiException) || failed instanceof org.apache.kafka.common.errors.TimeoutException) {
            return null;
        }
        short code = Errors.forException(failed).code();
        return code == Errors.UNKNOWN_SERVER_ERROR.code() ? null : Integer.valueOf(code);
    }
}
