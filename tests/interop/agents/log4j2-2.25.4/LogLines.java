import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.logging.log4j.core.LoggerContext;

/** Logs every line of a file, which Log4j's configuration names as the property `input`. */
final class LogLines {
    public static void main(String[] arguments) throws Exception {
        Logger logger = LogManager.getLogger(LogLines.class);
        LoggerContext context = (LoggerContext) LogManager.getContext(false);
        Follow.untilTerminated();
        try {
            new Follow(context.getConfiguration().getStrSubstitutor().replace("${input}"))
                .batches(1, lines -> lines.forEach(logger::info));
        } finally {
            LogManager.shutdown();
        }
    }
}
