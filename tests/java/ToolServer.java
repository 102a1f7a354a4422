import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.common.utils.Exit;

/**
 * Apache Kafka's tools one after the other in one JVM, which saves a start of two to four seconds each: a line of JSON in, a line of JSON out.
 *
 * A tool that exits leaves its thread asleep for good, so that nothing of it runs on after the point where its process would have ended.
 * What a tool and its threads print goes to buffers of its own, so that clients which it did not close are not heard in the next one's.
 */
public class ToolServer {
    private static final InheritableThreadLocal<OutputStream> OUT = new InheritableThreadLocal<>();
    private static final InheritableThreadLocal<OutputStream> ERR = new InheritableThreadLocal<>();

    /** Passes on what is written to the buffer of the tool that the writing thread belongs to. */
    private static PrintStream divided(InheritableThreadLocal<OutputStream> buffers) throws IOException {
        return new PrintStream(new OutputStream() {
            @Override
            public void write(int octet) throws IOException {
                write(new byte[] {(byte) octet}, 0, 1);
            }

            @Override
            public void write(byte[] octets, int offset, int length) throws IOException {
                OutputStream buffer = buffers.get();
                if (buffer != null) buffer.write(octets, offset, length);
            }
        }, true, "UTF-8");
    }

    public static void main(String[] ignored) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = System.out;
        System.setOut(divided(OUT));
        System.setErr(divided(ERR));
        String line;
        while ((line = requests.readLine()) != null) {
            JsonNode request = mapper.readTree(line);
            List<String> arguments = new ArrayList<>();
            request.get("arguments").forEach(each -> arguments.add(each.asText()));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            System.setIn(new ByteArrayInputStream(request.get("stdin").asText().getBytes(StandardCharsets.UTF_8)));
            CompletableFuture<Integer> code = new CompletableFuture<>();
            Exit.Procedure stop = (status, message) -> {
                code.complete(status);
                while (true) {
                    try { Thread.sleep(Long.MAX_VALUE); } catch (InterruptedException again) { }
                }
            };
            Exit.setExitProcedure(stop);
            Exit.setHaltProcedure(stop);
            Thread thread = new Thread(() -> {
                OUT.set(out);
                ERR.set(err);
                try {
                    Class.forName(request.get("class").asText()).getMethod("main", String[].class)
                        .invoke(null, (Object) arguments.toArray(new String[0]));
                    code.complete(0);
                } catch (java.lang.reflect.InvocationTargetException thrown) {
                    System.err.print("Exception in thread \"main\" ");
                    thrown.getCause().printStackTrace();
                    code.complete(1);
                } catch (Throwable thrown) {
                    thrown.printStackTrace();
                    code.complete(1);
                }
            });
            thread.setDaemon(true);
            thread.start();
            ObjectNode answer = mapper.createObjectNode();
            try {
                answer.put("exit_code", code.get(request.get("timeout_s").asLong(), TimeUnit.SECONDS));
            } catch (TimeoutException late) {
                answer.put("exit_code", -1);
            }
            System.out.flush();
            System.err.flush();
            answer.put("stdout", out.toString("UTF-8"));
            answer.put("stderr", err.toString("UTF-8"));
            answers.println(mapper.writeValueAsString(answer));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
