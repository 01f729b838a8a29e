import java.io.FileReader;
import java.io.Reader;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.RetriableException;

/**
 * Sends the lines of a log file with Kafka's Java client, configured as Logstash's kafka output does it and used in the
 * same way: some events are sent and waited for; of those that failed, what may be tried again is, for ever, and the rest
 * is dropped with a warning. Argument: a file of properties; those under `client.` are the client's.
 */
final class SendAsLogstash {
    private static final int BATCH = 125;

    public static void main(String[] arguments) throws Exception {
        Properties all = new Properties();
        try (Reader file = new FileReader(arguments[0])) {
            all.load(file);
        }
        Properties settings = new Properties();
        for (String name : all.stringPropertyNames()) {
            if (name.startsWith("client.")) {
                settings.put(name.substring("client.".length()), all.getProperty(name));
            }
        }
        long backoff = Long.parseLong(settings.getProperty("retry.backoff.ms"));

        Follow.untilTerminated();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            new Follow(all.getProperty("input")).batches(BATCH, lines -> {
                List<ProducerRecord<String, String>> left = new ArrayList<>();
                lines.forEach(line -> left.add(new ProducerRecord<>(all.getProperty("topic"), line)));
                while (!left.isEmpty()) {
                    left.retainAll(send(producer, left));
                    if (!left.isEmpty()) {
                        System.err.println("Sending batch failed. Will retry after a delay: " + left.size());
                        Thread.sleep(backoff);
                    }
                }
            });
        }
    }

    /** What is to be tried again. */
    private static <V> List<ProducerRecord<String, V>> send(
            KafkaProducer<String, V> producer, List<ProducerRecord<String, V>> records) throws InterruptedException {
        List<Future<?>> answers = new ArrayList<>();
        for (ProducerRecord<String, V> record : records) {
            answers.add(producer.send(record));
        }
        List<ProducerRecord<String, V>> again = new ArrayList<>();
        for (int i = 0; i < records.size(); i++) {
            try {
                answers.get(i).get();
            } catch (ExecutionException failed) {
                boolean retriable = failed.getCause() instanceof RetriableException;
                String fate = retriable ? "will retry sending" : "dropping record";
                System.err.println("producer send failed, " + fate + ": " + failed.getCause());
                if (retriable) {
                    again.add(records.get(i));
                }
            }
        }
        return again;
    }
}
