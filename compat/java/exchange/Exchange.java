import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.Callable;

/**
 * The Java client's side of the exchange of a directory (see ../../README.md): one process that lives through all the brokers that
 * serve the directory, so that its producers go on where they were. A line on standard input is a verb; STEP lines and then DONE
 * are the answer.
 */
public final class Exchange {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.trim().split(" ");
            verb(words);
            System.out.println("DONE");
        }
        // Producers that wait for a broker would hold the process up.
        Runtime.getRuntime().halt(0);
    }

    private static void verb(String[] words) {
        switch (words[0]) {
            case "connect" -> Clients.connect(words[1]);
            case "fill" -> Fill.all();
            case "fill-kafka" -> KafkaOnly.fill();
            case "cleaned" -> step("cleaned", () -> Clients.cleaned(Map.of("compacted", 1L, "compacted-and-deleted", 1L)));
            case "more" -> More.all(words[1]);
            case "resume" -> KafkaOnly.resume();
            case "portrait" -> step("portrait", () -> new Portrait().write(words[1]));
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    /** Runs one step; what it returns is the detail. A failure does not stop the steps after it. */
    static void step(String name, Callable<String> action) {
        try {
            System.out.println(("STEP " + name + " ok " + action.call()).replace('\n', ' '));
        } catch (Exception | AssertionError e) {
            e.printStackTrace();
            System.out.println(("STEP " + name + " fail " + e).replace('\n', ' '));
        }
        System.out.flush();
    }
}
