package org.backupkit.extension;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** The service's side of the hook protocol for a test. */
final class Hook implements AutoCloseable {
  static final ObjectMapper JSON = new ObjectMapper();

  private final OutputStream requests;
  private final BufferedReader answers;
  private int id;

  Hook(OutputStream requests, InputStream answers) {
    this.requests = requests;
    this.answers = new BufferedReader(new InputStreamReader(answers, StandardCharsets.UTF_8));
  }

  /** A program in an environment such as the service makes. */
  static Process start(Path sandbox, List<String> command) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(sandbox.toFile())
            .redirectError(ProcessBuilder.Redirect.DISCARD);
    String path = builder.environment().get("PATH");
    builder.environment().clear();
    builder
        .environment()
        .putAll(
            Map.of(
                "BACKUPKIT_BUNDLE",
                "com.example.notes",
                "BACKUPKIT_SANDBOX",
                sandbox.toString(),
                "BACKUPKIT_BACKUP_DIR",
                sandbox.resolve(".backup").toString(),
                "PATH",
                path,
                "HOME",
                sandbox.toString(),
                "LANG",
                "C.UTF-8"));
    return builder.start();
  }

  /** The JVM that runs this, with its class path and {@code more}. */
  static List<String> java(String mainClass, Path... more) {
    StringBuilder classpath = new StringBuilder(System.getProperty("java.class.path"));
    for (Path folder : more) {
      classpath.append(':').append(folder);
    }
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    return List.of(java, "-cp", classpath.toString(), mainClass);
  }

  /** Sends a request; {@code members} is what follows the call, such as {@code ,"info":"x"}. */
  int send(String call, String members) throws IOException {
    id++;
    line("{\"id\":" + id + ",\"call\":\"" + call + "\"" + members + "}");
    return id;
  }

  void line(String text) throws IOException {
    requests.write((text + "\n").getBytes(StandardCharsets.UTF_8));
    requests.flush();
  }

  /** The next line; null at the end. */
  String read() throws IOException {
    return answers.readLine();
  }

  /** The next line, as it must be to answer a request. */
  JsonNode answer(int id) throws IOException {
    JsonNode answer = parse(read());
    if (answer.path("id").asInt() != id) {
      throw new AssertionError("not the answer to " + id + ": " + answer);
    }
    return answer;
  }

  JsonNode ask(String call, String members) throws IOException {
    return answer(send(call, members));
  }

  static JsonNode parse(String line) throws JsonProcessingException {
    return JSON.readTree(line);
  }

  /** Ends the hook's input. */
  @Override
  public void close() throws IOException {
    requests.close();
  }
}
