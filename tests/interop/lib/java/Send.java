// Sends records with Apache Kafka's Java producer and says what became of each: the contract is in ../../README.md.
// One source compiles against every kafka-clients from 0.10.0 on; what only some have is asked for at run time.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.SaslConfigs;
import org.apache.kafka.common.config.SslConfigs;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Send {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** How long after the records' own time-out the program gives up on answers. */
    private static final long GRACE_MS = 8_000;
    /** How long closing may take, which flushes what acks=0 has only queued. */
    private static final long CLOSE_MS = 2_000;
    /** More than any test sends: what is too large is for the gateway to say. */
    private static final int REQUEST_BYTES_MAX = 8 << 20;
    /** Further errors are only counted. */
    private static final int ERRORS_MAX = 1_000;
    private static final String PASSWORD = "password";
    /** What became of a record; at first it is neither. */
    private static final byte DELIVERED = 1;
    private static final byte FAILED = 2;

    private final JsonNode spec;
    /** Of the file; none where numbers are sent. */
    private final List<JsonNode> records;
    private final Path scratch;
    /** A send may block for the whole time-out; the one after it must not do so again. In nanoseconds, like the next. */
    private final long sendDeadline;
    private final long deadline;
    /** By record. A byte each: there may be a million. */
    private final byte[] outcomes;
    private final ArrayNode errors = JSON.createArrayNode();

    private Send(JsonNode spec) throws Exception {
        this.spec = spec;
        long now = System.nanoTime();
        long timeoutMs = spec.get("timeout_ms").asLong();
        sendDeadline = now + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
        deadline = now + TimeUnit.MILLISECONDS.toNanos(timeoutMs + GRACE_MS);
        records = new ArrayList<JsonNode>();
        if (spec.has("records")) {
            for (String line : Files.readAllLines(Paths.get(spec.get("records").asText()), StandardCharsets.UTF_8)) {
                records.add(JSON.readTree(line));
            }
        }
        outcomes = new byte[spec.path("numbers").asInt(records.size())];
        scratch = Files.createTempDirectory("send");
    }

    public static void main(String[] arguments) throws Exception {
        Send send = new Send(JSON.readTree(System.in));
        send.run();
        send.print();
        // The producers' threads may still be waiting: do not wait for them.
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    /** Each producer sends its share in a thread of its own. */
    private void run() throws Exception {
        int producers = spec.get("producers").asInt();
        Properties properties = properties();
        ExecutorService threads = Executors.newFixedThreadPool(producers);
        List<Future<?>> shares = new ArrayList<Future<?>>();
        for (int at = 0; at < producers; at++) {
            int first = at;
            shares.add(threads.submit(() -> {
                sendShare(properties, first, producers);
                return null;
            }));
        }
        for (Future<?> share : shares) {
            try {
                share.get(deadline - System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(CLOSE_MS), TimeUnit.NANOSECONDS);
            } catch (ExecutionException failed) {
                synchronized (this) {
                    errors.insert(0, error(-1, failed.getCause()));
                }
            } catch (TimeoutException late) {
                // What has no outcome by now is reported so.
                break;
            }
        }
        for (Path file : Files.newDirectoryStream(scratch)) {
            Files.delete(file);
        }
        Files.delete(scratch);
    }

    private void sendShare(Properties properties, int first, int step) throws Exception {
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<byte[], byte[]>(properties);
        for (int at = first; at < outcomes.length; at += step) {
            Thread.sleep(spec.get("pause_ms").asLong());
            sendOne(producer, at);
        }
        // Waits for all outcomes.
        producer.close();
    }

    private void sendOne(KafkaProducer<byte[], byte[]> producer, int at) throws Exception {
        if (System.nanoTime() > sendDeadline) {
            settle(at, new TimeoutException("not sent before the deadline"));
            return;
        }
        ProducerRecord<byte[], byte[]> record = spec.has("numbers") ? number(at) : record(records.get(at));
        try {
            producer.send(record, (place, failed) -> settle(at, failed));
        } catch (RuntimeException failed) {
            settle(at, failed);
        }
    }

    /** Notes what became of a record; null: nothing failed. */
    private synchronized void settle(int at, Throwable failed) {
        outcomes[at] = failed == null ? DELIVERED : FAILED;
        if (failed != null) {
            add(error(at, failed));
        }
    }

    private void add(ObjectNode error) {
        if (errors.size() < ERRORS_MAX) {
            errors.add(error);
        }
    }

    private ProducerRecord<byte[], byte[]> number(int number) {
        byte[] value = Integer.toString(number).getBytes(StandardCharsets.UTF_8);
        return new ProducerRecord<byte[], byte[]>(
                spec.get("topic").asText(), null, System.currentTimeMillis(), null, value);
    }

    private ProducerRecord<byte[], byte[]> record(JsonNode line) throws Exception {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<byte[], byte[]>(
                spec.get("topic").asText(), null, line.get("timestamp_ms").asLong(),
                line.get("key").binaryValue(), line.get("value").binaryValue());
        if (spec.get("message_format").asInt() == 2) {
            for (JsonNode header : line.get("headers")) {
                addHeader(record, header.get(0).asText(), header.get(1).binaryValue());
            }
        }
        return record;
    }

    /** Headers began in 0.11. */
    private static void addHeader(ProducerRecord<?, ?> record, String name, byte[] value) throws Exception {
        Object headers = ProducerRecord.class.getMethod("headers").invoke(record);
        Method add = Class.forName("org.apache.kafka.common.header.Headers").getMethod("add", String.class, byte[].class);
        add.invoke(headers, name, value);
    }

    private Properties properties() throws Exception {
        int timeoutMs = spec.get("timeout_ms").asInt();
        Properties p = new Properties();
        p.put("bootstrap.servers", spec.get("bootstrap").asText());
        p.put("client.id", "sluice-test");
        p.put("security.protocol", "SASL_SSL");
        p.put("sasl.mechanism", "PLAIN");
        setLogin(p);
        setTruststore(p);
        p.put("acks", spec.get("acks").asText());
        p.put("enable.idempotence", spec.get("idempotent").asBoolean());
        p.put("compression.type", spec.get("codec").asText());
        p.put("linger.ms", 5);
        // Before 2.1 the default is none; from then on the delivery's time-out ends them.
        p.put("retries", 1_000);
        p.put("max.request.size", REQUEST_BYTES_MAX);
        p.put("max.block.ms", (long) timeoutMs);
        p.put("request.timeout.ms", spec.get("request_timeout_ms").asInt(timeoutMs - 1_000));
        p.put("delivery.timeout.ms", timeoutMs);
        p.put("key.serializer", ByteArraySerializer.class.getName());
        p.put("value.serializer", ByteArraySerializer.class.getName());
        return p;
    }

    /** As a property where the client has it, from 0.10.2; before, as a file that the whole process reads. */
    private void setLogin(Properties p) throws Exception {
        String login = String.format(
                "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"%s\" password=\"%s\";",
                spec.get("user").asText(), spec.get("password").asText());
        if (has(SaslConfigs.class, "SASL_JAAS_CONFIG")) {
            p.put("sasl.jaas.config", login);
            return;
        }
        Path file = scratch.resolve("jaas.conf");
        Files.write(file, ("KafkaClient { " + login + " };").getBytes(StandardCharsets.UTF_8));
        System.setProperty("java.security.auth.login.config", file.toString());
    }

    /** PEM where the client reads it, from 2.7; before, a Java key store. */
    private void setTruststore(Properties p) throws Exception {
        if (has(SslConfigs.class, "SSL_TRUSTSTORE_CERTIFICATES_CONFIG")) {
            p.put("ssl.truststore.type", "PEM");
            p.put("ssl.truststore.location", spec.get("ca").asText());
            return;
        }
        KeyStore store = KeyStore.getInstance("JKS");
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(Paths.get(spec.get("ca").asText()))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        Path file = scratch.resolve("trust.jks");
        try (OutputStream out = Files.newOutputStream(file)) {
            store.store(out, PASSWORD.toCharArray());
        }
        p.put("ssl.truststore.type", "JKS");
        p.put("ssl.truststore.location", file.toString());
        p.put("ssl.truststore.password", PASSWORD);
    }

    private static boolean has(Class<?> options, String name) {
        return Stream.of(options.getFields()).anyMatch(field -> field.getName().equals(name));
    }

    private static String version() throws Exception {
        Properties version = new Properties();
        try (InputStream file = KafkaProducer.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            version.load(file);
        }
        return version.getProperty("version");
    }

    private synchronized void print() throws Exception {
        int delivered = 0;
        for (int at = 0; at < outcomes.length; at++) {
            if (outcomes[at] == DELIVERED) {
                delivered++;
            } else if (outcomes[at] != FAILED) {
                add(error(at, null, "NoAnswer", "no outcome before the deadline"));
            }
        }
        ObjectNode report = JSON.createObjectNode();
        report.put("delivered", delivered);
        report.set("errors", errors);
        report.put("library", "kafka-clients");
        report.put("version", version());
        System.out.println(report);
    }

    /** {@code at} is -1 when no single record is meant. */
    private static ObjectNode error(int at, Throwable failed) {
        Throwable named = codeOf(failed) == null && failed.getCause() != null ? failed.getCause() : failed;
        return error(at, codeOf(named), named.getClass().getSimpleName(), failed.toString());
    }

    private static ObjectNode error(int at, Integer code, String name, String text) {
        ObjectNode error = JSON.createObjectNode();
        error.put("record", at < 0 ? null : Integer.valueOf(at));
        error.put("code", code);
        error.put("name", name);
        error.put("text", text);
        return error;
    }

    /**
     * Kafka's code, null for the client's own failures. The client's TimeoutException has the code of a broker's time-out (7)
     * but no broker said it; what the broker did say is its cause.
     */
    private static Integer codeOf(Throwable failed) {
        if (!(failed instanceof ApiException) || failed instanceof org.apache.kafka.common.errors.TimeoutException) {
            return null;
        }
        int code = Errors.forException(failed).code();
        return code < 0 ? null : Integer.valueOf(code);
    }
}
