package org.backupkit.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.backupkit.store.Snapshot;
import org.backupkit.store.SnapshotStore;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Lists a store. */
@Command(
    name = "list",
    description = "Lists the snapshots of a store.",
    mixinStandardHelpOptions = true)
final class ListCommand implements Callable<Integer> {
  @Option(names = "--from", paramLabel = "STORE", required = true, description = "The store.")
  private @Nullable Path store;

  @Option(names = "--json", description = "Print one JSON object per line.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Path directory = Connection.directory(Objects.requireNonNull(store));
    for (Snapshot snapshot : SnapshotStore.open(directory).snapshots()) {
      System.out.println(json ? object(snapshot).toString() : line(snapshot));
    }
    return 0;
  }

  private static ObjectNode object(Snapshot snapshot) {
    ObjectNode node = CapabilityFile.MAPPER.createObjectNode();
    node.put("bundle", snapshot.bundle()).put("snapshot", snapshot.id());
    node.put("time", snapshot.time().toString()).put("kind", snapshot.kind());
    node.put("base", snapshot.base());
    snapshot.needs().forEach(node.putArray("needs")::add);
    node.put("partial", snapshot.partial()).put("files", snapshot.files());
    return node.put("bytes", snapshot.bytes());
  }

  private static String line(Snapshot snapshot) {
    return String.format(
        "%-40s %s  %-11s %8d files %10s%s",
        snapshot.bundle(),
        snapshot.id(),
        snapshot.kind(),
        snapshot.files(),
        Output.size(snapshot.bytes()),
        snapshot.partial() ? "  partial" : "");
  }
}
