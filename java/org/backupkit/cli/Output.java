package org.backupkit.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.backupkit.store.BundleResult;
import org.backupkit.store.Progress;
import org.backupkit.store.ProgressEvent;
import org.backupkit.store.ProgressEvent.Kind;

/** How a backup or restore is shown: a line that is redrawn, plain lines, or JSON lines. */
final class Output implements Progress {
  private static final long REDRAW_NANOS = 100_000_000;

  private final boolean json;
  private final boolean terminal = System.console() != null;
  private final long start = System.nanoTime();
  private final Map<String, ProgressEvent> running = new LinkedHashMap<>();
  private long drawn;

  Output(boolean json) {
    this.json = json;
  }

  @Override
  public void on(ProgressEvent event) {
    if (json) {
      print(object(event));
      return;
    }
    if (event.kind() == Kind.ANEW) {
      wipe();
      System.err.println(anew(event));
    } else if (event.kind() == Kind.END) {
      running.remove(event.bundle());
      wipe();
      (event.code() == 0 ? System.out : System.err).println(end(event));
    } else {
      running.put(event.bundle(), event);
      if (!terminal && event.kind() == Kind.BEGIN) {
        System.out.println(event.bundle() + ": begins");
      }
    }
    draw(event.kind() == Kind.END);
  }

  /** The last words, and the exit code. */
  int summary(String verb, List<BundleResult> results, Duration elapsed) {
    long bytes = results.stream().mapToLong(BundleResult::bytes).sum();
    long files = results.stream().mapToLong(BundleResult::files).sum();
    long moved = results.stream().mapToLong(BundleResult::bytesMoved).sum();
    long shared = results.stream().mapToLong(BundleResult::bytesShared).sum();
    long good = results.stream().filter(BundleResult::succeeded).count();
    double seconds = elapsed.toNanos() / 1e9;
    if (json) {
      ObjectNode node = CapabilityFile.MAPPER.createObjectNode();
      node.put("event", "summary").put("bundles", results.size()).put("succeeded", good);
      node.put("files", files).put("bytes", bytes).put("seconds", seconds);
      node.put("bytesMoved", moved).put("bytesShared", shared);
      node.set("results", CapabilityFile.MAPPER.valueToTree(results));
      print(node);
    } else {
      wipe();
      for (BundleResult result : results) {
        result.unreadable().forEach(line -> System.err.println(result.bundle() + ": " + line));
      }
      System.out.printf(
          Locale.ROOT,
          "%s %d of %d bundles, %d files, %s in %.2f s (%s/s)%n",
          verb,
          good,
          results.size(),
          files,
          size(bytes),
          seconds,
          size((long) (bytes / Math.max(seconds, 1e-9))));
    }
    if (results.stream().anyMatch(result -> !result.succeeded() && !result.partial())) {
      return Main.FAILED;
    }
    return good == results.size() ? 0 : Main.PARTIAL;
  }

  /** Bytes for people. */
  static String size(long bytes) {
    double value = bytes;
    String unit = "B";
    for (String larger : List.of("kB", "MB", "GB", "TB")) {
      if (value < 1000) {
        break;
      }
      value /= 1000;
      unit = larger;
    }
    return String.format(Locale.ROOT, unit.equals("B") ? "%.0f %s" : "%.1f %s", value, unit);
  }

  private static String anew(ProgressEvent event) {
    return "backupkit: warning: \"" + event.bundle() + "\" is backed up wholly: " + event.text();
  }

  private static String end(ProgressEvent event) {
    if (event.code() != 0) {
      return event.bundle() + ": failed with " + event.code() + ": " + event.text();
    }
    return String.format(
        "%s: %d files, %s, snapshot %s",
        event.bundle(), event.files(), size(event.bytes()), event.text());
  }

  private static ObjectNode object(ProgressEvent event) {
    ObjectNode node = CapabilityFile.MAPPER.createObjectNode();
    node.put("event", event.kind().name().toLowerCase(Locale.ROOT)).put("bundle", event.bundle());
    node.put("files", event.files()).put("bytes", event.bytes()).put("code", event.code());
    switch (event.kind()) {
      case FILE -> node.put("uri", event.text());
      case PROCESS, REPORT -> {
        try {
          node.set("report", CapabilityFile.MAPPER.readTree(event.text()));
        } catch (JsonProcessingException e) {
          node.put("report", event.text()); // an app's own text may be anything
        }
      }
      case ANEW -> node.put("message", event.text());
      case END -> node.put(event.code() == 0 ? "snapshot" : "message", event.text());
      default -> {}
    }
    return node;
  }

  private static void print(ObjectNode node) {
    System.out.println(node);
  }

  private void draw(boolean now) {
    long time = System.nanoTime();
    if (!terminal || running.isEmpty() || (!now && time - drawn < REDRAW_NANOS)) {
      return;
    }
    drawn = time;
    double seconds = Math.max((time - start) / 1e9, 1e-3);
    StringBuilder line = new StringBuilder();
    for (ProgressEvent event : running.values()) {
      line.append(line.length() == 0 ? "" : " | ").append(event.bundle()).append(": ");
      line.append(event.files()).append(" files, ").append(size(event.bytes()));
      line.append(", ").append(size((long) (event.bytes() / seconds))).append("/s");
    }
    System.err.print("\r\033[K" + line);
    System.err.flush();
  }

  private void wipe() {
    if (terminal) {
      System.err.print("\r\033[K");
      System.err.flush();
    }
  }
}
