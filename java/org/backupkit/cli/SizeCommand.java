package org.backupkit.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
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

  @Option(
      names = "--precise",
      description = "Count every file; else the size counted last, or an upper bound, is told.")
  private boolean precise;

  @Option(names = "--json", description = "Print one JSON object per line.")
  private boolean json;

  @Parameters(
      paramLabel = "BUNDLE",
      description = "The bundles; all that may be backed up, if none is named.")
  private @Nullable List<String> bundles;

  /** Puts the reports together, which are told on the session's thread. */
  private static final class Answer implements GeneralCallbacks {
    private final CompletableFuture<ArrayNode> sizes = new CompletableFuture<>();
    private final ArrayNode scanned = CapabilityFile.MAPPER.createArrayNode();

    @Override
    public void onBackupSizeReport(String text) {
      try {
        JsonNode report = CapabilityFile.MAPPER.readTree(text);
        report.path("scanned").forEach(scanned::add);
        if (report.path("scanning").asText().isEmpty()) {
          sizes.complete(scanned);
        }
      } catch (JsonProcessingException e) {
        sizes.completeExceptionally(
            new BackupException(ErrorCode.IPC, "The service's report is not valid JSON: " + text));
      }
    }

    @Override
    public void onBackupServiceDied() {
      sizes.completeExceptionally(
          new BackupException(ErrorCode.IPC, "The backup service died before its report"));
    }
  }

  @Override
  public Integer call() throws IOException {
    Answer answer = new Answer();
    try (BackupService service = connection.open();
        SessionBackup session = new SessionBackup(service, answer)) {
      int problems = 0;
      List<String> names = bundles;
      if (names == null) {
        CapabilityFile capabilities = CapabilityFile.read(session.getLocalCapabilities());
        problems = capabilities.warn();
        names = capabilities.allowed();
      }
      Set<String> missing = new LinkedHashSet<>(names);
      Await.value(
          session.getBackupDataSize(precise, names.stream().map(SizeCommand::all).toList()));
      for (JsonNode bundle : Await.value(answer.sizes)) {
        missing.remove(bundle.path("bundleName").asText());
        problems += print(bundle);
      }
      missing.forEach(
          name -> System.err.println("backupkit: the device has no bundle \"" + name + "\""));
      if (!missing.isEmpty()) {
        return Main.FAILED;
      }
      return problems > 0 ? Main.PARTIAL : 0;
    }
  }

  private static IncrementalBackupTime all(String bundle) {
    return new IncrementalBackupTime(bundle, 0);
  }

  /** Gives the number of problems. */
  private int print(JsonNode bundle) {
    String name = bundle.path("bundleName").asText();
    String problem = bundle.path("problem").asText();
    if (json) {
      System.out.println(bundle);
    } else if (bundle.path("dataSize").asLong() >= 0) {
      String estimate = bundle.path("estimate").asText();
      System.out.printf(
          "%-40s %10s%s%n",
          name,
          Output.size(bundle.path("dataSize").asLong()),
          estimate.isEmpty() ? "" : "  (" + estimate + ")");
    }
    if (!problem.isEmpty()) {
      System.err.println("backupkit: warning: \"" + name + "\": " + problem);
    }
    return problem.isEmpty() ? 0 : 1;
  }
}
