package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.backupkit.BackupService;
import org.backupkit.Device;

/** An app, the store of its snapshots, and another device where they come back. */
final class AppChain implements AutoCloseable {
  static final String BUNDLE = "com.example.app";

  private final Device device;
  private final Device other;
  private final BackupService service;
  private final BackupService otherService;
  private final SnapshotStore store;

  /** What is larger than the limit is passed, not packed. */
  AppChain(Path directory, int packingLimit) throws IOException {
    device = new Device(directory.resolve("device"));
    device.configure("{\"maxSendRate\": 0, \"packingLimit\": " + packingLimit + "}");
    device.addBundle(BUNDLE);
    other = new Device(directory.resolve("other"));
    other.addBundle(BUNDLE);
    store = SnapshotStore.open(directory.resolve("store"));
    service = BackupService.embedded(device.root());
    otherService = BackupService.embedded(other.root());
  }

  /** The device of the app. */
  Device device() {
    return device;
  }

  /** Where the app's data are. */
  Path source() {
    return device.sandbox(BUNDLE);
  }

  /** Where they come back. */
  Path target() {
    return other.sandbox(BUNDLE);
  }

  SnapshotStore store() {
    return store;
  }

  /** Adds a snapshot of what has changed. */
  Snapshot backUp() throws IOException {
    return added(store.backup(service, List.of(BUNDLE), Progress.NONE));
  }

  /** Adds a snapshot that stands alone. */
  Snapshot backUpFull() throws IOException {
    return added(store.backupFull(service, List.of(BUNDLE), Progress.NONE));
  }

  /** Brings a snapshot to the other device. */
  void restore(Snapshot snapshot, RestoreOptions.Mode mode) throws IOException {
    restore(otherService, snapshot, mode);
  }

  /** Brings a snapshot back to where it came from. */
  void restoreInPlace(Snapshot snapshot, RestoreOptions.Mode mode) throws IOException {
    restore(service, snapshot, mode);
  }

  private void restore(BackupService where, Snapshot snapshot, RestoreOptions.Mode mode)
      throws IOException {
    RestoreOptions options = new RestoreOptions(mode);
    Map<String, String> ids = Map.of(BUNDLE, snapshot.id());
    RestoreReport report = store.restore(where, ids, options, Progress.NONE);
    assertTrue(report.succeeded(), report.toString());
  }

  private Snapshot added(BackupReport report) throws IOException {
    assertTrue(report.succeeded(), report.toString());
    List<Snapshot> all = store.snapshots();
    return all.get(all.size() - 1);
  }

  @Override
  public void close() {
    otherService.close();
    service.close();
  }
}
