package org.backupkit.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.backupkit.BackupService;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Lists what can be backed up. */
@Command(
    name = "capabilities",
    description = "Lists the bundles of the device.",
    mixinStandardHelpOptions = true)
final class CapabilitiesCommand implements Callable<Integer> {
  @Mixin private Connection connection = new Connection();

  @Option(names = "--json", description = "Print the capability file, on one line.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    try (BackupService service = connection.open()) {
      CapabilityFile capabilities = CapabilityFile.ask(service);
      if (json) {
        System.out.println(CapabilityFile.MAPPER.writeValueAsString(capabilities.content()));
      } else {
        for (JsonNode bundle : capabilities.content().path("bundleInfos")) {
          System.out.println(line(bundle));
        }
      }
      capabilities.warn();
      return 0;
    }
  }

  private static String line(JsonNode bundle) {
    return String.format(
        "%-40s %-12s %10s%s",
        bundle.path("name").asText(),
        bundle.path("versionName").asText(),
        Output.size(bundle.path("spaceOccupied").asLong()),
        bundle.path("allToBackup").asBoolean() ? "" : "  not to be backed up");
  }
}
