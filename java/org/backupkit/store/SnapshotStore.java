package org.backupkit.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.SessionBackup;
import org.jspecify.annotations.Nullable;

/**
 * A directory of backups: one snapshot per bundle and run, written so that an unfinished one can
 * never be mistaken for a finished one. Thread-safe. One backup at a time writes to a store;
 * restores may run beside it.
 */
public final class SnapshotStore {
  private static final String MARKER = "backupkit-store.json";
  private static final String LOCK = ".lock";
  private static final Pattern ID = Pattern.compile("\\d{8}T\\d{6}\\.\\d{3}Z");
  private static final Pattern BUNDLE =
      Pattern.compile("(?!\\.)[A-Za-z0-9._-]{1,127}(:[0-9]{1,9})?");

  private final Path directory;

  private SnapshotStore(Path directory) {
    this.directory = directory;
  }

  /**
   * Opens a store. A directory that is empty or not there becomes one with its first backup.
   *
   * @param directory where the store is or will be
   * @return the store; nothing was written
   * @throws IOException when there is something that is not a store
   */
  public static SnapshotStore open(Path directory) throws IOException {
    Path marker = directory.resolve(MARKER);
    if (Files.isRegularFile(marker)) {
      long format =
          Files.size(marker) == 0 ? Incoming.FORMAT : Json.read(marker).path("format").asLong();
      if (format != Incoming.FORMAT) {
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
   * Backs up bundles. The same as {@link #backupFull} for now.
   *
   * @param service the service that knows them
   * @param bundles their names
   * @param progress is told of each step
   * @return a result for each bundle
   * @throws IOException when nothing was backed up: the store is in use or cannot be written, or
   *     the service refused the session
   */
  public BackupReport backup(BackupService service, List<String> bundles, Progress progress)
      throws IOException {
    return backup(service, bundles, BackupOptions.defaults(), progress);
  }

  /**
   * Backs up bundles, with options. The same as {@link #backupFull} for now.
   *
   * @param service the service that knows them
   * @param bundles their names
   * @param options how
   * @param progress is told of each step
   * @return a result for each bundle
   * @throws IOException when nothing was backed up: the store is in use or cannot be written, or
   *     the service refused the session
   */
  public BackupReport backup(
      BackupService service, List<String> bundles, BackupOptions options, Progress progress)
      throws IOException {
    return backupFull(service, bundles, options, progress);
  }

  /**
   * Backs up bundles wholly. Blocks until every one has ended.
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
   * Backs up bundles wholly, with options. Blocks until every one has ended.
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
    long start = System.nanoTime();
    List<String> names = distinct(bundles);
    Files.createDirectories(directory);
    Path marker = directory.resolve(MARKER);
    if (!Files.exists(marker) || Files.size(marker) == 0) {
      Files.write(marker, Json.bytes(Json.object().put("format", Incoming.FORMAT)));
    }
    try (FileChannel lock = lock()) {
      removeLeftovers(lock);
      BackupRun run =
          new BackupRun(service, directory, names, Capabilities.ask(service), options, progress);
      Failure broken = null;
      try (SessionBackup session = new SessionBackup(service, run)) {
        Await.value(
            session.appendBundles(names, Collections.nCopies(names.size(), options.info())));
        broken = wait(run);
      }
      return new BackupReport(run.results(broken), since(start));
    }
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
      List<String> ids = ids(directory.resolve(bundle));
      if (ids.isEmpty()) {
        throw new BackupException(
            ErrorCode.INVALID_ARGUMENT.code(),
            "The store \"" + directory + "\" has no snapshot of \"" + bundle + "\"",
            bundle,
            null);
      }
      newest.put(bundle, ids.get(ids.size() - 1));
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
    Map<String, ObjectNode> descriptions = new LinkedHashMap<>();
    for (String bundle : distinct(List.copyOf(snapshotIds.keySet()))) {
      descriptions.put(bundle, description(bundle, snapshotIds.get(bundle)));
    }
    Map<String, BundleResult> results = new HashMap<>();
    try (Fd capabilities = Capabilities.of(List.copyOf(descriptions.values()))) {
      Map<String, ObjectNode> left = new LinkedHashMap<>(descriptions);
      while (!left.isEmpty()) {
        results.putAll(run(left, snapshotIds, progress, results.isEmpty(), service, capabilities));
        left.keySet().removeAll(results.keySet());
      }
    }
    return new RestoreReport(
        descriptions.keySet().stream().map(results::get).toList(), since(start));
  }

  /**
   * The snapshots of the store.
   *
   * @return by bundle, the oldest first
   * @throws IOException when the store cannot be read, or a snapshot in it not
   */
  public List<Snapshot> snapshots() throws IOException {
    List<Snapshot> found = new ArrayList<>();
    if (!Files.isDirectory(directory)) {
      return found;
    }
    for (Path home : Directories.entries(directory)) {
      for (String id : ids(home)) {
        Path place = home.resolve(id);
        JsonNode description = Json.read(place.resolve(Incoming.DESCRIPTION));
        found.add(
            new Snapshot(
                home.getFileName().toString(),
                id,
                Incoming.ID.parse(id, Instant::from),
                description.path("kind").asText("full"),
                description.path("partial").asBoolean(),
                description.path("files").size(),
                description.path("bytes").asLong(),
                place));
      }
    }
    return found;
  }

  /** One session's worth of a restore; only the first one's refusal is an exception. */
  private Map<String, BundleResult> run(
      Map<String, ObjectNode> descriptions,
      Map<String, String> snapshotIds,
      Progress progress,
      boolean first,
      BackupService service,
      Fd capabilities)
      throws IOException {
    Map<String, Path> places = new LinkedHashMap<>();
    Map<String, List<String>> files = new HashMap<>();
    descriptions.forEach(
        (bundle, description) -> {
          places.put(bundle, directory.resolve(bundle).resolve(snapshotIds.get(bundle)));
          files.put(bundle, names(description));
        });
    RestoreRun run = new RestoreRun(places, files, progress);
    try {
      return run.restore(service, capabilities);
    } catch (BackupException refused) {
      if (first) {
        throw refused;
      }
      return run.failAll(Failure.of(refused));
    }
  }

  private static boolean emptyButLock(Path directory) throws IOException {
    return Directories.entries(directory).stream()
        .allMatch(entry -> entry.getFileName().toString().equals(LOCK));
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

  /**
   * The kernel drops the lock when its holder dies, so whoever has it knows all others to be gone.
   */
  private FileChannel lock() throws IOException {
    Path file = directory.resolve(LOCK);
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    if (lock == null) {
      channel.close();
      throw new BackupException(
          ErrorCode.NOT_PERMITTED,
          "The store \"" + directory + "\" is in use by another backup; wait for its end");
    }
    return channel;
  }

  private void removeLeftovers(FileChannel lock) throws IOException {
    if (!lock.isOpen()) {
      throw new IllegalStateException("The store's lock is not held");
    }
    for (Path home : Directories.entries(directory)) {
      if (Files.isDirectory(home, LinkOption.NOFOLLOW_LINKS)) {
        for (Path entry : Directories.entries(home)) {
          if (entry.getFileName().toString().startsWith(Incoming.PREFIX)) {
            Directories.remove(entry);
          }
        }
      }
    }
  }

  private static @Nullable Failure wait(BackupRun run) throws IOException {
    try {
      Await.value(run.ended());
      return null;
    } catch (BackupException e) {
      return Failure.of(e);
    }
  }

  private static List<String> ids(Path home) throws IOException {
    if (!Files.isDirectory(home)) {
      return List.of();
    }
    return Directories.entries(home).stream()
        .map(entry -> entry.getFileName().toString())
        .filter(name -> ID.matcher(name).matches())
        .toList();
  }

  /** A snapshot's description, after a look whether its files are all there. */
  private ObjectNode description(String bundle, String id) throws IOException {
    Path place = directory.resolve(bundle).resolve(id);
    if (!ID.matcher(id).matches() || !Files.isDirectory(place)) {
      throw new BackupException(
          ErrorCode.INVALID_ARGUMENT.code(),
          "The store \"" + directory + "\" has no snapshot \"" + id + "\" of \"" + bundle + "\"",
          bundle,
          null);
    }
    ObjectNode description = Json.read(place.resolve(Incoming.DESCRIPTION));
    for (JsonNode file : description.path("files")) {
      Path path = place.resolve(file.path("name").asText());
      if (!Files.isRegularFile(path) || Files.size(path) != file.path("size").asLong()) {
        throw new BackupException(
            ErrorCode.UNPACK_FAILED.code(),
            "The snapshot is damaged: \"" + path + "\" is not there or not of its size",
            bundle,
            path.getFileName().toString());
      }
    }
    return description;
  }

  private static List<String> names(JsonNode description) {
    List<String> names = new ArrayList<>();
    description.path("files").forEach(file -> names.add(file.path("name").asText()));
    return names;
  }
}
