package org.backupkit.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.backupkit.BackupService;
import org.backupkit.FileData;
import org.backupkit.internal.Await;
import org.backupkit.internal.InnerRequests;

/** What a service says it can back up. */
record CapabilityFile(JsonNode content) {
  static final ObjectMapper MAPPER = new ObjectMapper();
  private static final byte[] EVERY_BUNDLE = {};

  /** With the sizes, for which the service walks the data of every bundle. */
  static CapabilityFile ask(BackupService service) throws IOException {
    return read(service.getLocalCapabilities());
  }

  static CapabilityFile askWithoutSizes(BackupService service) throws IOException {
    return read(InnerRequests.capabilities(service, EVERY_BUNDLE));
  }

  static CapabilityFile read(CompletableFuture<FileData> file) throws IOException {
    try (FileData data = Await.value(file)) {
      return new CapabilityFile(MAPPER.readTree(data.fd().readAllBytes()));
    }
  }

  /** The bundles that may be backed up. */
  List<String> allowed() {
    List<String> names = new ArrayList<>();
    for (JsonNode bundle : content.path("bundleInfos")) {
      if (bundle.path("allToBackup").asBoolean()) {
        names.add(bundle.path("name").asText());
      }
    }
    return names;
  }

  /** Tells what the service could not read of which bundle; gives the number of these. */
  int warn() {
    Set<String> listed = new HashSet<>();
    content.path("bundleInfos").forEach(bundle -> listed.add(bundle.path("name").asText()));
    JsonNode problems = content.path("problems");
    for (JsonNode problem : problems) {
      String bundle = problem.path("bundle").asText();
      String leftOut = listed.contains(bundle) ? "" : " is left out";
      System.err.println(
          "backupkit: warning: \""
              + bundle
              + "\""
              + leftOut
              + ": "
              + problem.path("error").asText());
    }
    return problems.size();
  }
}
