package org.backupkit.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.FileData;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.internal.Await;
import org.backupkit.internal.InnerRequests;
import org.backupkit.internal.ListWriter;
import org.jspecify.annotations.Nullable;

/** The capability file, which a snapshot keeps one entry of and a restore gives back. */
final class Capabilities {
  private static final List<String> DEVICE =
      List.of("deviceType", "systemFullName", "backupVersion");

  private Capabilities() {}

  /** Asks for these bundles alone, and not for the size of their data: that a backup says. */
  static ObjectNode ask(BackupService service, Collection<String> bundles) throws IOException {
    List<IncrementalBackupTime> times =
        bundles.stream().map(bundle -> new IncrementalBackupTime(bundle, 0)).toList();
    try (FileData data =
        Await.value(InnerRequests.capabilities(service, ListWriter.times(times)))) {
      return Json.parse(data.fd().readAllBytes(), "The service's capability file");
    }
  }

  /** What a capability file says about a bundle; null where it does not know it. */
  static @Nullable JsonNode entry(JsonNode capabilities, String bundle) {
    for (JsonNode candidate : capabilities.path("bundleInfos")) {
      if (candidate.path("name").asText().equals(bundle)) {
        return candidate;
      }
    }
    return null;
  }

  /** What a capability file says about the device and not about a bundle. */
  static ObjectNode device(JsonNode capabilities) {
    ObjectNode device = Json.object();
    for (String field : DEVICE) {
      if (capabilities.has(field)) {
        device.set(field, capabilities.get(field));
      }
    }
    return device;
  }

  /** A capability file, without a name, that lists the bundles of these snapshots. */
  static Fd of(List<ObjectNode> descriptions) throws IOException {
    ObjectNode file = Json.object();
    ArrayNode entries = file.putArray("bundleInfos");
    for (ObjectNode description : descriptions) {
      if (description.get("device") instanceof ObjectNode device) {
        file.setAll(device);
      }
      if (description.get("capability") instanceof ObjectNode entry) {
        entries.add(entry);
      }
    }
    Path path = Files.createTempFile("backupkit", ".json");
    try {
      Files.write(path, Json.bytes(file));
      return Fd.open(path, StandardOpenOption.READ);
    } finally {
      Files.delete(path);
    }
  }
}
