package org.backupkit.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.cli.MetricsText.Sample;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Asks a running service how it is. */
@Command(
    name = "status",
    description = "Tells whether a service answers, what it knows and what it does.",
    mixinStandardHelpOptions = true)
final class StatusCommand implements Callable<Integer> {
  @Option(
      names = "--socket",
      paramLabel = "SOCKET",
      description = "The service's socket; $BACKUPKIT_SOCKET or the system's otherwise.")
  private @Nullable Path socket;

  @ArgGroup(exclusive = true, multiplicity = "0..1")
  private Form form = new Form();

  private static final class Form {
    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Option(names = "--metrics", description = "Print what it counts, as OpenMetrics text.")
    private boolean metrics;
  }

  @Override
  public Integer call() throws IOException {
    ObjectNode status = CapabilityFile.MAPPER.createObjectNode();
    try (BackupService service =
        socket == null ? BackupService.connect() : BackupService.connect(socket)) {
      status.put("answers", true).put("pid", service.servicePid());
      if (form.metrics) {
        System.out.print(MetricsText.ask(service).text());
        return 0;
      }
      ask(service, status);
    } catch (BackupException e) {
      status.put("answers", status.has("pid") && e.error() != ErrorCode.IPC);
      status.put("code", e.code()).put("error", Objects.requireNonNullElse(e.getMessage(), ""));
    }
    if (form.json) {
      System.out.println(status);
    } else {
      print(status);
    }
    return status.has("error") ? Main.FAILED : 0;
  }

  private static void ask(BackupService service, ObjectNode status) throws IOException {
    String version = service.getBackupVersion();
    status.put(
        "backupVersion",
        CapabilityFile.MAPPER.readTree(version).path("backupVersion").asText(version));
    CapabilityFile capabilities = CapabilityFile.askWithoutSizes(service);
    status.put("bundles", capabilities.content().path("bundleInfos").size());
    status.put("allowed", capabilities.allowed().size());
    status.set("problems", capabilities.content().path("problems").deepCopy());
    add(MetricsText.ask(service), status);
  }

  private static void add(MetricsText metrics, ObjectNode status) {
    status.put("seconds", metrics.sum("backupkit_uptime_seconds"));
    status.put("residentBytes", (long) metrics.sum("process_resident_memory_bytes"));
    status.put("openDescriptors", (long) metrics.sum("process_open_fds"));
    status.put("connections", (long) metrics.sum("backupkit_connections"));
    for (Sample session : metrics.all("backupkit_session_age_seconds")) {
      status
          .putObject("session")
          .put("kind", session.label("kind"))
          .put("pid", Long.parseLong(session.label("pid")))
          .put("seconds", session.value());
    }
    status.put("waiting", (long) metrics.sum("backupkit_bundles_waiting"));
    status.putArray("running");
    for (Sample phase : metrics.all("backupkit_bundle_phase")) {
      addRunning(metrics, phase, status.withArray("running").addObject());
    }
    addByCode(metrics, "backupkit_bundles_ended_total", status.putObject("ended"));
    addByCode(metrics, "backupkit_bundles_refused_total", status.putObject("refused"));
    status.put("files", (long) metrics.sum("backupkit_files_handed_out_total"));
    for (String way : new String[] {"packed", "passed", "unpacked"}) {
      status.put(way, (long) metrics.sum("backupkit_content_bytes_total", "way", way));
    }
  }

  private static void addRunning(MetricsText metrics, Sample phase, ObjectNode running) {
    String bundle = phase.label("bundle");
    running.put("bundle", bundle).put("phase", phase.label("phase"));
    running.put("seconds", metrics.sum("backupkit_bundle_age_seconds", "bundle", bundle));
    running.put("files", (long) metrics.sum("backupkit_bundle_files", "bundle", bundle));
    running.put("bytes", (long) metrics.sum("backupkit_bundle_content_bytes", "bundle", bundle));
    for (Sample rate : metrics.all("backupkit_bundle_send_rate")) {
      if (rate.label("bundle").equals(bundle) && !Double.isInfinite(rate.value())) {
        running.put("rate", (long) rate.value()); // without a limit there is none
      }
    }
  }

  private static void addByCode(MetricsText metrics, String name, ObjectNode counts) {
    metrics.all(name).forEach(sample -> counts.put(sample.label("code"), (long) sample.value()));
  }

  private void print(ObjectNode status) {
    if (status.has("pid") && !form.metrics) {
      System.out.printf("process         %d%n", status.path("pid").asLong());
    }
    if (status.has("bundles")) {
      System.out.printf("backup version  %s%n", status.path("backupVersion").asText());
      System.out.printf(
          "bundles         %d, %d may be backed up%n",
          status.path("bundles").asInt(), status.path("allowed").asInt());
    }
    if (status.has("running")) {
      printWork(status);
    }
    if (!status.has("error")) {
      System.out.println("answers         yes");
    } else if (status.has("pid")) {
      System.err.println("backupkit: " + status.path("error").asText());
    } else {
      System.err.println("backupkit: no service answers: " + status.path("error").asText());
    }
  }

  private static void printWork(JsonNode status) {
    print(
        "up              %s, %s of memory, %d descriptors, %d connections%n",
        time(status),
        Output.size(status.path("residentBytes").asLong()),
        status.path("openDescriptors").asLong(),
        status.path("connections").asLong());
    JsonNode session = status.path("session");
    if (session.isObject()) {
      print(
          "session         %s of process %d for %s: %d bundles run, %d wait%n",
          session.path("kind").asText(),
          session.path("pid").asLong(),
          time(session),
          status.path("running").size(),
          status.path("waiting").asLong());
    } else {
      print("session         none%n");
    }
    for (JsonNode bundle : status.path("running")) {
      print(
          "  %-32s %-8s %8s  %d files, %s%s%n",
          bundle.path("bundle").asText(),
          bundle.path("phase").asText(),
          time(bundle),
          bundle.path("files").asLong(),
          Output.size(bundle.path("bytes").asLong()),
          bundle.has("rate") ? ", at most " + bundle.path("rate").asLong() + " files/s" : "");
    }
    print(
        "handed out      %d files; %s packed, %s passed, %s unpacked%n",
        status.path("files").asLong(),
        Output.size(status.path("packed").asLong()),
        Output.size(status.path("passed").asLong()),
        Output.size(status.path("unpacked").asLong()));
    print("ended           %s%n", codes(status.path("ended")));
    print("refused         %s%n", codes(status.path("refused")));
  }

  private static String codes(JsonNode counts) {
    StringBuilder text = new StringBuilder();
    for (Map.Entry<String, JsonNode> count : counts.properties()) {
      text.append(text.length() == 0 ? "" : ", ").append(count.getValue().asLong());
      text.append(count.getKey().equals("0") ? " well" : " with " + count.getKey());
    }
    return text.length() == 0 ? "none" : text.toString();
  }

  private static String time(JsonNode node) {
    return String.format(Locale.ROOT, "%.1f s", node.path("seconds").asDouble());
  }

  private static void print(String format, Object... values) {
    System.out.printf(Locale.ROOT, format, values);
  }
}
