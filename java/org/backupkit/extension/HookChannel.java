package org.backupkit.extension;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import org.jspecify.annotations.Nullable;

/**
 * The hook's side of the protocol that native/extension/HOOK.md defines. One thread reads, one
 * answers onProcess, and the caller's answers everything else, so the app may work while it is
 * asked how far it is.
 */
final class HookChannel {
  private static final int MAX_ANSWER = 32768;
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();
  private static final ObjectNode END = MAPPER.createObjectNode();

  private final BackupExtension extension;
  private final OutputStream out;
  // The service asks one thing at a time; a second one waits in the stream behind it.
  private final BlockingQueue<ObjectNode> calls = new ArrayBlockingQueue<>(1);
  private final BlockingQueue<ObjectNode> processes = new ArrayBlockingQueue<>(1);

  private HookChannel(BackupExtension extension, OutputStream out) {
    this.extension = extension;
    this.out = out;
  }

  /** Greets and answers; blocks until the input ends. */
  static void serve(
      BackupExtension extension, BackupExtensionContext context, InputStream in, OutputStream out) {
    extension.enter(context);
    HookChannel channel = new HookChannel(extension, out);
    channel.greet();
    start("backupkit-hook-reader", () -> channel.read(in));
    start("backupkit-hook-process", () -> channel.answerAll(channel.processes));
    channel.answerAll(channel.calls);
  }

  private static void start(String name, Runnable work) {
    Thread thread = new Thread(work, name);
    thread.setDaemon(true);
    thread.start();
  }

  private void greet() {
    ObjectNode greeting = MAPPER.createObjectNode().put("hook", 1);
    ArrayNode calls = greeting.putArray("calls");
    HookCall.overriddenBy(extension.getClass()).forEach(call -> calls.add(call.word()));
    write(greeting);
  }

  private void read(InputStream in) {
    BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    try {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        ObjectNode request = request(line);
        if (request == null) {
          continue;
        }
        if (request.path("call").asText().equals(HookCall.PROCESS.word())) {
          // Where the last one is still waiting, the service has given it up.
          processes.offer(request);
        } else {
          put(request);
        }
      }
    } catch (IOException e) {
      // The service is gone, which ends the work as the stream's end does.
    }
    put(END);
  }

  /** The request in a line, or null for a line to ignore. */
  private static @Nullable ObjectNode request(String line) {
    try {
      JsonNode node = MAPPER.readTree(line);
      return node instanceof ObjectNode request && request.path("id").isIntegralNumber()
          ? request
          : null;
    } catch (JsonProcessingException e) {
      return null;
    }
  }

  private void put(ObjectNode request) {
    boolean put = false;
    while (!put) {
      try {
        calls.put(request);
        put = true;
      } catch (InterruptedException e) {
        // Nothing of ours interrupts; the stream's end alone ends the work.
      }
    }
  }

  private void answerAll(BlockingQueue<ObjectNode> requests) {
    while (true) {
      try {
        ObjectNode request = requests.take();
        if (request == END) {
          return;
        }
        write(answer(request));
      } catch (InterruptedException e) {
        // A mark that the app left on this thread; the stream's end alone ends the work.
      }
    }
  }

  private ObjectNode answer(ObjectNode request) {
    ObjectNode answer = MAPPER.createObjectNode();
    answer.set("id", request.get("id"));
    try {
      String word = request.path("call").asText();
      byte[] text = utf8(HookCall.of(word).ask(extension, request));
      if (text.length > MAX_ANSWER) {
        throw new IllegalArgumentException(
            word + " gave " + text.length + " bytes; " + MAX_ANSWER + " are allowed");
      }
      return answer.put("result", text(text, text.length));
    } catch (Throwable e) { // an app's Error is the app's failure too
      byte[] text = utf8(e.getMessage() == null ? e.getClass().getName() : e.getMessage());
      return answer.put("error", text(text, end(text)));
    }
  }

  /** Where to cut a text so that it fits and no character is halved. */
  private static int end(byte[] text) {
    int end = Math.min(text.length, MAX_ANSWER);
    while (end < text.length && (text[end] & 0xC0) == 0x80) {
      end--;
    }
    return end;
  }

  // Through bytes and back: a lone surrogate, which has no UTF-8, becomes a question mark.
  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] utf8, int length) {
    return new String(utf8, 0, length, StandardCharsets.UTF_8);
  }

  private synchronized void write(ObjectNode line) {
    try {
      out.write(utf8(line + "\n"));
      out.flush();
    } catch (IOException e) {
      // The service is gone; the input's end says so too, and ends the work.
    }
  }
}
