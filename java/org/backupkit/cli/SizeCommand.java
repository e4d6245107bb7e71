package org.backupkit.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.GeneralCallbacks;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.SessionBackup;
import org.backupkit.internal.Await;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Asks how much data bundles have. */
@Command(
    name = "size",
    description = "Tells how much data bundles have. Fails while a backup or restore runs.",
    mixinStandardHelpOptions = true)
final class SizeCommand implements Callable<Integer> {
  @Mixin private Connection connection = new Connection();

  @Option(names = "--precise", description = "Count every file, and do not estimate.")
  private boolean precise;

  @Option(names = "--json", description = "Print the service's report, on one line.")
  private boolean json;

  @Parameters(
      paramLabel = "BUNDLE",
      description = "The bundles; all that may be backed up, if none is named.")
  private @Nullable List<String> bundles;

  /** Waits for the report, which is told on the session's thread. */
  private static final class Answer implements GeneralCallbacks {
    private final CompletableFuture<String> report = new CompletableFuture<>();

    @Override
    public void onBackupSizeReport(String text) {
      report.complete(text);
    }

    @Override
    public void onBackupServiceDied() {
      report.completeExceptionally(
          new BackupException(ErrorCode.IPC, "The backup service died before its report"));
    }
  }

  @Override
  public Integer call() throws IOException {
    try (BackupService service = connection.open()) {
      int problems = 0;
      List<String> names = bundles;
      if (names == null) {
        CapabilityFile capabilities = CapabilityFile.ask(service);
        problems = capabilities.warn();
        names = capabilities.allowed();
      }
      Set<String> missing = new LinkedHashSet<>(names);
      JsonNode report = ask(service, names);
      for (JsonNode bundle : report.path("scanned")) {
        missing.remove(bundle.path("bundleName").asText());
        if (!json) {
          System.out.printf(
              "%-40s %10s%n",
              bundle.path("bundleName").asText(), Output.size(bundle.path("dataSize").asLong()));
        }
      }
      if (json) {
        System.out.println(report);
      }
      missing.forEach(
          name -> System.err.println("backupkit: the device has no bundle \"" + name + "\""));
      if (!missing.isEmpty()) {
        return Main.FAILED;
      }
      return problems > 0 ? Main.PARTIAL : 0;
    }
  }

  private JsonNode ask(BackupService service, List<String> names) throws IOException {
    Answer answer = new Answer();
    String report;
    try (SessionBackup session = new SessionBackup(service, answer)) {
      List<IncrementalBackupTime> times =
          names.stream().map(name -> new IncrementalBackupTime(name, 0)).toList();
      Await.value(session.getBackupDataSize(precise, times));
      report = Await.value(answer.report);
    }
    try {
      return CapabilityFile.MAPPER.readTree(report);
    } catch (JsonProcessingException e) {
      throw new IOException("The service's report is not valid JSON: " + report, e);
    }
  }
}
