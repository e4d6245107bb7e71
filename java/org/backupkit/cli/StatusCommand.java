package org.backupkit.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Asks a running service how it is. */
@Command(
    name = "status",
    description = "Tells whether a service answers, and what it knows. Needs no session.",
    mixinStandardHelpOptions = true)
final class StatusCommand implements Callable<Integer> {
  @Option(
      names = "--socket",
      paramLabel = "SOCKET",
      description = "The service's socket; $BACKUPKIT_SOCKET or the system's otherwise.")
  private @Nullable Path socket;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    ObjectNode status = CapabilityFile.MAPPER.createObjectNode();
    try (BackupService service =
        socket == null ? BackupService.connect() : BackupService.connect(socket)) {
      status.put("answers", true).put("pid", service.servicePid());
      ask(service, status);
    } catch (BackupException e) {
      status.put("answers", status.has("pid") && e.error() != ErrorCode.IPC);
      status.put("code", e.code()).put("error", Objects.requireNonNullElse(e.getMessage(), ""));
    }
    if (json) {
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
  }

  private static void print(ObjectNode status) {
    if (status.has("pid")) {
      System.out.printf("process         %d%n", status.path("pid").asLong());
    }
    if (status.has("bundles")) {
      System.out.printf("backup version  %s%n", status.path("backupVersion").asText());
      System.out.printf(
          "bundles         %d, %d may be backed up%n",
          status.path("bundles").asInt(), status.path("allowed").asInt());
    }
    if (status.has("error")) {
      System.err.println("backupkit: " + status.path("error").asText());
    } else {
      System.out.println("answers         yes");
    }
  }
}
