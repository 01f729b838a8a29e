import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;

/** Reads the lines of a log file that another program appends to and rotates by renaming, until SIGTERM. */
final class Follow {
    interface Take {
        void lines(List<String> lines) throws Exception;
    }

    private static volatile boolean stopping;

    private final Path path;
    private InputStream file;
    private Object identity;
    private final ByteArrayOutputStream begun = new ByteArrayOutputStream();
    private List<String> lines = new ArrayList<>();

    Follow(String path) {
        this.path = Paths.get(path);
    }

    /** From now on SIGTERM lets the main thread read to the end and finish; the exit code is 1 if it threw something. */
    static void untilTerminated() {
        Thread main = Thread.currentThread();
        int[] code = {0};
        main.setUncaughtExceptionHandler((thread, thrown) -> {
            thrown.printStackTrace();
            code[0] = 1;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping = true;
            try {
                main.join();
            } catch (InterruptedException never) {
                code[0] = 1;
            }
            Runtime.getRuntime().halt(code[0]);
        }));
    }

    /** Gives out what there is, at most so many lines at a time. */
    void batches(int most, Take take) throws Exception {
        while (true) {
            boolean last = stopping;
            Object now = identity(path);
            boolean moved = now != null && !now.equals(identity);
            read(most, take);
            if (moved) {
                open();
            } else if (last) {
                return;
            } else {
                Thread.sleep(50);
            }
        }
    }

    private void read(int most, Take take) throws Exception {
        byte[] bytes = new byte[65536];
        for (int count; file != null && (count = file.read(bytes)) > 0; ) {
            for (int i = 0; i < count; i++) {
                if (bytes[i] != '\n') {
                    begun.write(bytes[i]);
                    continue;
                }
                lines.add(new String(begun.toByteArray(), StandardCharsets.UTF_8));
                begun.reset();
                if (lines.size() == most) {
                    give(take);
                }
            }
        }
        give(take);
    }

    private void give(Take take) throws Exception {
        if (!lines.isEmpty()) {
            take.lines(lines);
            lines = new ArrayList<>();
        }
    }

    private void open() throws IOException {
        do {
            if (file != null) {
                file.close();
            }
            identity = identity(path);
            file = Files.newInputStream(path);
        } while (!identity(path).equals(identity));
    }

    private static Object identity(Path path) throws IOException {
        try {
            return Files.readAttributes(path, BasicFileAttributes.class).fileKey();
        } catch (NoSuchFileException renamed) {
            return null;
        }
    }
}
