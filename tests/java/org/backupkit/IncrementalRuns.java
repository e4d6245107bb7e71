package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/** Incremental backups of one bundle, one after another, and restores of each. */
final class IncrementalRuns {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String INDEX = "manage.json";

  private final BackupService service;
  private final String bundle;
  private final Path store;
  private int runs;

  IncrementalRuns(BackupService service, String bundle, Path store) throws IOException {
    this.service = service;
    this.bundle = bundle;
    this.store = Files.createDirectories(store);
  }

  /** Backs up on top of the last run; gives what was sent but manage.json, and the report. */
  Run backUp() throws Exception {
    return backUp(runs == 0 ? null : manifest(runs - 1));
  }

  Run backUp(@Nullable Path lastManifest) throws Exception {
    return backUp(lastManifest, lastManifest == null ? 0 : 1);
  }

  Run backUp(@Nullable Path lastManifest, long lastTime) throws Exception {
    Path folder = Files.createDirectories(store.resolve("run" + runs++));
    List<String> sent = new ArrayList<>();
    List<String> reports = new ArrayList<>();
    Recorder recorder =
        new Recorder() {
          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            try (BackupFile kept = file) {
              Fd manifest = kept.manifestFd();
              assertNotNull(manifest, kept.uri());
              kept.fd().copyTo(folder.resolve(kept.uri()));
              manifest.copyTo(folder.resolve(kept.uri() + ".rows"));
              if (!kept.uri().equals(INDEX)) {
                sent.add(kept.uri());
              }
            } catch (IOException e) {
              throw new IllegalStateException(e);
            }
          }

          @Override
          public void onResultReport(String bundleName, String result) {
            reports.add(result);
          }
        };
    IncrementalBackupData.Builder data =
        IncrementalBackupData.builder(bundle).lastIncrementalTime(lastTime);
    try (IncrementalBackupSession session = new IncrementalBackupSession(service, recorder)) {
      if (lastManifest == null) {
        session.appendBundles(List.of(data.build())).get(30, TimeUnit.SECONDS);
      } else {
        try (Fd manifest = Fd.open(lastManifest)) {
          session
              .appendBundles(List.of(data.manifestFd(manifest).build()))
              .get(30, TimeUnit.SECONDS);
        }
      }
      recorder.awaitSuccess(bundle);
    }
    JsonNode report = JSON.readTree(reports.get(reports.size() - 1)); // the app's own comes first
    return new Run(runs - 1, sent, report.get("resultInfo").get(1));
  }

  /** What one run sent, and the totals of its report. */
  record Run(int number, List<String> sent, JsonNode totals) {}

  /** The complete manifest of a run. */
  Path manifest(int run) {
    return store.resolve("run" + run).resolve(INDEX + ".rows");
  }

  /** The rows of a run's complete manifest by path. */
  TreeMap<String, String[]> rows(int run) throws IOException {
    TreeMap<String, String[]> rows = new TreeMap<>();
    for (String line : Files.readAllLines(manifest(run)).subList(2, lineCount(run) - 1)) {
      String[] columns = line.split(";", -1);
      assertEquals(18, columns.length, line);
      rows.put(columns[0], columns);
    }
    return rows;
  }

  private int lineCount(int run) throws IOException {
    return Files.readAllLines(manifest(run)).size();
  }

  /** Restores the state of a run out of it and those before. */
  void restore(int run) throws Exception {
    Set<String> needed = new HashSet<>();
    rows(run).values().forEach(columns -> needed.add(columns[14]));
    TreeMap<String, Path> files = new TreeMap<>();
    ArrayNode index = JSON.createArrayNode();
    for (int i = 0; i <= run; i++) {
      Path folder = store.resolve("run" + i);
      for (JsonNode item : JSON.readTree(folder.resolve(INDEX).toFile())) {
        String name = item.get("fileName").textValue();
        if (needed.contains(name)) {
          index.add(item);
          files.put(name, folder.resolve(name));
        }
      }
    }
    Path merged = store.resolve("merged-" + run);
    JSON.writeValue(merged.toFile(), index);
    files.put(INDEX, merged);
    handOver(run, files);
  }

  private void handOver(int run, TreeMap<String, Path> files) throws Exception {
    Path complete = manifest(run);
    List<String> left = new ArrayList<>(files.keySet());
    AtomicReference<SessionRestore> restoring = new AtomicReference<>();
    Recorder recorder =
        new Recorder() {
          @Override
          public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
            if (file == null) {
              throw new IllegalStateException(error);
            }
            String uri = file.uri();
            try (file) {
              file.fd().copyFrom(files.get(uri));
              if (uri.equals(INDEX)) {
                file.manifestFd().copyFrom(complete);
              }
            } catch (IOException e) {
              throw new IllegalStateException(e);
            }
            left.remove(uri);
            if (left.isEmpty()) {
              restoring.get().publishFile(new FileMeta(bundle, ""));
            }
          }
        };
    try (SessionRestore session = new SessionRestore(service, recorder);
        FileData capabilities = service.getLocalCapabilities().get(30, TimeUnit.SECONDS)) {
      restoring.set(session);
      session.appendBundles(capabilities.fd(), List.of(bundle)).get(30, TimeUnit.SECONDS);
      for (String uri : files.keySet()) {
        session.getFileHandle(new FileMeta(bundle, uri)).get(30, TimeUnit.SECONDS);
      }
      recorder.awaitSuccess(bundle);
    }
  }
}
