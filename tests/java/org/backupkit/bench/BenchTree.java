package org.backupkit.bench;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.store.BackupOptions;
import org.backupkit.store.BackupReport;
import org.backupkit.store.BundleResult;
import org.backupkit.store.Progress;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.SnapshotStore;

/** The data of an app that is the same in each run, and its way into a store and back. */
final class BenchTree {
  static final String BUNDLE = "com.example.bench";

  private final Device device;
  private final Path sandbox;

  /** Makes a device with an app that has no data. */
  BenchTree(Path root) throws IOException {
    device = new Device(root);
    sandbox = device.addBundle(BUNDLE);
  }

  /** The same with data. */
  BenchTree(Path root, Shape shape, int files) throws IOException {
    this(root);
    shape.fill(sandbox, files);
  }

  /** Where the app is. */
  Device device() {
    return device;
  }

  /** The app's directory. */
  Path sandbox() {
    return sandbox;
  }

  /** Makes a tree that has the names, sizes and times of the app's, but no content. */
  void copyWithoutContent(Path copy) throws IOException {
    List<Path> entries;
    try (Stream<Path> walk = Files.walk(sandbox)) {
      entries = walk.toList();
    }
    for (Path entry : entries) {
      Path twin = copy.resolve(sandbox.relativize(entry).toString());
      if (Files.isDirectory(entry)) {
        Files.createDirectories(twin);
      } else {
        try (RandomAccessFile file = new RandomAccessFile(twin.toFile(), "rw")) {
          file.setLength(Files.size(entry));
        }
      }
    }
    // A directory's time moves with each file that is made in it.
    for (Path entry : entries) {
      Files.setLastModifiedTime(
          copy.resolve(sandbox.relativize(entry).toString()), Files.getLastModifiedTime(entry));
    }
  }

  /** Backs the app up, with the start and the end of the service. */
  BundleResult backUp(Path store) throws IOException {
    return backUp(store, BackupOptions.defaults());
  }

  /** The same with other options. */
  BundleResult backUp(Path store, BackupOptions options) throws IOException {
    try (BackupService service = BackupService.embedded(device.root())) {
      BackupReport report =
          SnapshotStore.open(store).backup(service, List.of(BUNDLE), options, Progress.NONE);
      return only(report.succeeded(), report.bundles());
    }
  }

  /** Restores the app, with the start and the end of the service. */
  void restore(Path store) throws IOException {
    try (BackupService service = BackupService.embedded(device.root())) {
      RestoreReport report =
          SnapshotStore.open(store).restore(service, List.of(BUNDLE), Progress.NONE);
      only(report.succeeded(), report.bundles());
    }
  }

  /** Where a store has what a backup wrote. */
  static Path snapshot(Path store, BundleResult result) {
    return store.resolve(BUNDLE).resolve(result.snapshot());
  }

  private static BundleResult only(boolean succeeded, List<BundleResult> results) {
    if (!succeeded) {
      throw new IllegalStateException(results.toString());
    }
    return results.get(0);
  }
}
