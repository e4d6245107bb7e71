package org.backupkit.store;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.store.VerifyReport.Damage;

/**
 * A directory of backups: one snapshot per bundle and run, written so that an unfinished one can
 * never be mistaken for a finished one. Thread-safe. One backup at a time writes to a store;
 * restores may run beside it.
 */
public final class SnapshotStore {
  private static final String MARKER = "backupkit-store.json";
  private static final Pattern BUNDLE =
      Pattern.compile("(?!\\.)[A-Za-z0-9._-]{1,127}(:[0-9]{1,9})?");

  private static final FileAttribute<?> OWNERS_ALONE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private final Path directory;

  private SnapshotStore(Path directory) {
    this.directory = directory;
  }

  /**
   * Opens a store. A directory that is empty or not there becomes one with its first backup; a new
   * one is its owner's alone.
   *
   * @param directory where the store is or will be
   * @return the store; nothing was written
   * @throws IOException when there is something that is not a store
   */
  public static SnapshotStore open(Path directory) throws IOException {
    Path marker = directory.resolve(MARKER);
    if (Files.isRegularFile(marker)) {
      long format = format(marker);
      if (format < 0 || format > Description.FORMAT) {
        throw new IOException(
            "\""
                + directory
                + "\" is a store of format "
                + format
                + ", which this version cannot use");
      }
    } else if (Files.isDirectory(directory) ? !emptyButLock(directory) : exists(directory)) {
      throw new IOException(
          "\""
              + directory
              + "\" is not a backup store: it is not an empty directory and has no "
              + MARKER
              + "; choose another directory");
    }
    return new SnapshotStore(directory);
  }

  /**
   * Backs up what has changed since each bundle's newest snapshot; wholly where there is none, or
   * none that can be built on. What an interrupted run of a bundle has brought, and is still as it
   * was, does not come again. Blocks until every one has ended.
   *
   * @param service the service that knows them
   * @param bundles their names
   * @param progress is told of each step
   * @return a result for each bundle; a failed one leaves no snapshot
   * @throws IOException when nothing was backed up: the store is in use or cannot be written, or
   *     the service refused the session
   */
  public BackupReport backup(BackupService service, List<String> bundles, Progress progress)
      throws IOException {
    return backup(service, bundles, BackupOptions.defaults(), progress);
  }

  /**
   * The same with options.
   *
   * @param service the service that knows them
   * @param bundles their names
   * @param options how
   * @param progress is told of each step
   * @return a result for each bundle; a failed one leaves no snapshot
   * @throws IOException when nothing was backed up: the store is in use or cannot be written, or
   *     the service refused the session
   */
  public BackupReport backup(
      BackupService service, List<String> bundles, BackupOptions options, Progress progress)
      throws IOException {
    return backup(service, bundles, options, false, progress);
  }

  /**
   * Backs up bundles wholly: what is written needs no earlier snapshot. Blocks until every one has
   * ended.
   *
   * @param service the service that knows them
   * @param bundles their names
   * @param progress is told of each step
   * @return a result for each bundle; a failed one leaves no snapshot
   * @throws IOException when nothing was backed up: the store is in use or cannot be written, or
   *     the service refused the session
   */
  public BackupReport backupFull(BackupService service, List<String> bundles, Progress progress)
      throws IOException {
    return backupFull(service, bundles, BackupOptions.defaults(), progress);
  }

  /**
   * The same with options.
   *
   * @param service the service that knows them
   * @param bundles their names
   * @param options how
   * @param progress is told of each step
   * @return a result for each bundle; a failed one leaves no snapshot
   * @throws IOException when nothing was backed up: the store is in use or cannot be written, or
   *     the service refused the session
   */
  public BackupReport backupFull(
      BackupService service, List<String> bundles, BackupOptions options, Progress progress)
      throws IOException {
    return backup(service, bundles, options, true, progress);
  }

  /**
   * Restores the newest snapshot of each bundle. Blocks until every one has ended.
   *
   * @param service the service that knows them
   * @param bundles their names
   * @param progress is told of each step
   * @return a result for each bundle
   * @throws IOException when nothing was restored: a bundle has no snapshot, or the service refused
   *     the session
   */
  public RestoreReport restore(BackupService service, List<String> bundles, Progress progress)
      throws IOException {
    Map<String, String> newest = new LinkedHashMap<>();
    for (String bundle : distinct(bundles)) {
      Path found = Directories.newest(directory.resolve(bundle));
      if (found == null) {
        throw notThere("snapshot", bundle);
      }
      newest.put(bundle, found.getFileName().toString());
    }
    return restore(service, newest, RestoreOptions.defaults(), progress);
  }

  /**
   * Restores one snapshot of each bundle. Blocks until every one has ended.
   *
   * @param service the service that knows them
   * @param snapshotIds the snapshot of each bundle, by the bundle's name
   * @param options how
   * @param progress is told of each step
   * @return a result for each bundle
   * @throws IOException when nothing was restored: a snapshot is not there or not whole, or the
   *     service refused the session
   */
  public RestoreReport restore(
      BackupService service,
      Map<String, String> snapshotIds,
      RestoreOptions options,
      Progress progress)
      throws IOException {
    long start = System.nanoTime();
    Map<String, Contents> snapshots = new LinkedHashMap<>();
    for (String bundle : distinct(List.copyOf(snapshotIds.keySet()))) {
      snapshots.put(bundle, contents(bundle, snapshotIds.get(bundle), options));
    }
    List<ObjectNode> descriptions =
        snapshots.values().stream().map(found -> found.description().content()).toList();
    Map<String, BundleResult> results = new HashMap<>();
    try (Fd capabilities = Capabilities.of(descriptions)) {
      Map<String, Contents> left = new LinkedHashMap<>(snapshots);
      while (!left.isEmpty()) {
        RestoreRun run = new RestoreRun(left, options, progress);
        results.putAll(run(run, results.isEmpty(), service, capabilities));
        left.keySet().removeAll(results.keySet());
      }
    }
    return new RestoreReport(snapshots.keySet().stream().map(results::get).toList(), since(start));
  }

  /**
   * Tells what {@link #restore} would do, without a service, and does nothing. That every file of
   * the snapshots is there with its size is looked at.
   *
   * @param snapshotIds the snapshot of each bundle, by the bundle's name
   * @param options how
   * @return a plan for each bundle
   * @throws IOException when a snapshot is not there or not whole
   */
  public List<RestorePlan> planRestore(Map<String, String> snapshotIds, RestoreOptions options)
      throws IOException {
    List<RestorePlan> plans = new ArrayList<>();
    for (String bundle : distinct(List.copyOf(snapshotIds.keySet()))) {
      Contents target = contents(bundle, snapshotIds.get(bundle), options);
      Path newest = Objects.requireNonNull(Directories.newest(directory.resolve(bundle)));
      plans.add(Planning.plan(bundle, target, newest, options));
    }
    return plans;
  }

  /**
   * The snapshots of the store.
   *
   * @return by bundle, the oldest first
   * @throws IOException when the store cannot be read
   */
  public List<Snapshot> snapshots() throws IOException {
    List<Snapshot> found = new ArrayList<>();
    if (Files.isDirectory(directory)) {
      for (Path home : Directories.entries(directory)) {
        for (Path place : Directories.snapshots(home)) {
          Snapshot snapshot = Snapshot.of(place);
          if (!snapshot.isDamaged() || !Directories.wasRemoved(place)) {
            found.add(snapshot);
          }
        }
      }
    }
    return found;
  }

  /**
   * Compares the bytes in the store with their hashes; needs no service. The descriptions, indexes
   * and manifests are read always, the file that makes it a store, and every file's size. Damage is
   * no exception. What a prune removes meanwhile is not spoken of.
   *
   * @param percent how many of a hundred of the other files are read, chosen by chance; 100 for all
   * @param progress is told of each snapshot's begin, files and end; the text of an end is the
   *     first damage where there is some
   * @return what is damaged, by snapshot, file and, where it can be told, entry
   * @throws IOException when the store cannot be listed, 13900020 for a number outside 0 to 100
   */
  public VerifyReport verify(int percent, Progress progress) throws IOException {
    if (percent < 0 || percent > 100) {
      throw new BackupException(
          ErrorCode.INVALID_ARGUMENT, "Not within 0 to 100 percent: " + percent);
    }
    Verification verification = new Verification(percent, progress);
    if (!isMarkerWhole()) {
      verification.find(new Damage("", "", MARKER, "", "it is not as it was written"));
    }
    for (Snapshot snapshot : snapshots()) {
      verification.look(snapshot.directory());
    }
    return verification.report();
  }

  /**
   * Removes the snapshots that no rule keeps and none that stays needs. A restore from one of them
   * meanwhile fails and leaves the data as it was.
   *
   * @param rules what is kept
   * @return what was removed and what not
   * @throws IOException when the store is in use or cannot be written; 13500008, and nothing was
   *     removed, when the description of a snapshot is damaged
   */
  public PruneReport prune(KeepRules rules) throws IOException {
    try (StoreLock lock = StoreLock.take(directory)) {
      lock.sweep();
      PruneReport report = planPrune(rules);
      Pruning.remove(report.removed());
      return report;
    }
  }

  /**
   * Tells what {@link #prune} would do, and does nothing.
   *
   * @param rules what would be kept
   * @return what would be removed and what not
   * @throws IOException when the store cannot be read; 13500008 when a description is damaged
   */
  public PruneReport planPrune(KeepRules rules) throws IOException {
    return Pruning.choose(snapshots(), rules);
  }

  private BackupReport backup(
      BackupService service,
      List<String> bundles,
      BackupOptions options,
      boolean full,
      Progress progress)
      throws IOException {
    long start = System.nanoTime();
    List<String> names = distinct(bundles);
    Files.createDirectories(directory, OWNERS_ALONE);
    Path marker = directory.resolve(MARKER);
    if (!Files.exists(marker) || format(marker) < Description.FORMAT) {
      Files.write(marker, markerOf(Description.FORMAT));
    }
    try (StoreLock lock = StoreLock.take(directory)) {
      lock.sweep();
      Map<String, Start> starts = new LinkedHashMap<>();
      for (String name : names) {
        starts.put(name, Start.find(directory.resolve(name), full));
      }
      ObjectNode capabilities = Capabilities.ask(service, names);
      BackupRun run = new BackupRun(service, capabilities, starts, options, progress);
      return new BackupReport(run.backUp(), since(start));
    }
  }

  /** One session's worth of a restore; only the first one's refusal is an exception. */
  private static Map<String, BundleResult> run(
      RestoreRun run, boolean first, BackupService service, Fd capabilities) throws IOException {
    try {
      return run.restore(service, capabilities);
    } catch (BackupException refused) {
      if (first) {
        throw refused;
      }
      return run.failAll(Failure.of(refused));
    }
  }

  private Contents contents(String bundle, String id, RestoreOptions options) throws IOException {
    Path place = directory.resolve(bundle).resolve(id);
    if (!Directories.snapshots(directory.resolve(bundle)).contains(place)) {
      throw notThere("snapshot \"" + id + "\"", bundle);
    }
    Contents contents = Contents.of(place);
    if (options.mode() == RestoreOptions.Mode.MIRROR && contents.manifest() == null) {
      throw new BackupException(
          ErrorCode.INVALID_ARGUMENT.code(),
          "The snapshot \"" + id + "\" has no manifest and cannot be mirrored; merge it",
          bundle,
          null);
    }
    return contents;
  }

  private BackupException notThere(String what, String bundle) {
    return new BackupException(
        ErrorCode.INVALID_ARGUMENT.code(),
        "The store \"" + directory + "\" has no " + what + " of \"" + bundle + "\"",
        bundle,
        null);
  }

  /** An empty marker is one that a power cut left. */
  private static long format(Path marker) throws IOException {
    return Files.size(marker) == 0 ? 0 : Json.read(marker).path("format").asLong(-1);
  }

  /** Whether it says a format as it was written; that none is there, open() has allowed. */
  private boolean isMarkerWhole() throws IOException {
    Path marker = directory.resolve(MARKER);
    if (!Files.exists(marker) || Files.size(marker) == 0) {
      return true;
    }
    byte[] bytes = Files.readAllBytes(marker);
    return IntStream.rangeClosed(1, Description.FORMAT)
        .anyMatch(known -> Arrays.equals(bytes, markerOf(known)));
  }

  private static byte[] markerOf(int format) {
    return Json.bytes(Json.object().put("format", format));
  }

  private static boolean emptyButLock(Path directory) throws IOException {
    return Directories.entries(directory).stream()
        .allMatch(entry -> entry.getFileName().toString().equals(StoreLock.FILE));
  }

  private static boolean exists(Path path) {
    return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
  }

  private static Duration since(long start) {
    return Duration.ofNanos(System.nanoTime() - start);
  }

  /** The names once each; they are checked, because the store makes directories of them. */
  private static List<String> distinct(List<String> bundles) throws BackupException {
    if (bundles.isEmpty()) {
      throw new BackupException(ErrorCode.INVALID_ARGUMENT, "No bundle was named");
    }
    for (String bundle : bundles) {
      if (!BUNDLE.matcher(bundle).matches() || bundle.equals(MARKER)) {
        throw new BackupException(
            ErrorCode.INVALID_ARGUMENT, "\"" + bundle + "\" is not a bundle name");
      }
    }
    return List.copyOf(new LinkedHashSet<>(bundles));
  }
}
