package org.backupkit.store;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.backupkit.BackupFile;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.internal.Bridge;
import org.backupkit.internal.PathBytes;
import org.jspecify.annotations.Nullable;

/** One bundle's snapshot while it is written. Used by one thread, and closed when it has ended. */
final class Incoming implements AutoCloseable {
  static final String PREFIX = ".incoming-";
  private static final Set<String> OURS = Set.of(Description.FILE, Description.MANIFEST);

  private final String bundle;
  private final Start start;
  private final Instant started;
  private final Path directory;

  /** Open from the begin: a sync tells of what could not be written only since then. */
  private final Fd handle;

  private final Map<String, Long> files = new LinkedHashMap<>();
  private @Nullable Failure failure;
  private boolean failedHere;

  private Incoming(String bundle, Start start, Instant started, Path directory) throws IOException {
    this.bundle = bundle;
    this.start = start;
    this.started = started;
    this.directory = directory;
    this.handle = Fd.open(directory, StandardOpenOption.READ);
  }

  /** Begins a snapshot of the bundle, with what an interrupted run has left. */
  static Incoming begin(String bundle, Start start) throws IOException {
    Path home = start.home();
    if (!Files.isDirectory(home)) {
      Files.createDirectories(home);
      Directories.sync(home.getParent());
    }
    Instant started = start.next();
    Path directory = home.resolve(PREFIX + SnapshotId.of(started));
    Leftover leftover = start.leftover();
    if (leftover == null) {
      Files.createDirectory(directory);
    } else if (!leftover.directory().equals(directory)) {
      Files.move(leftover.directory(), directory, StandardCopyOption.ATOMIC_MOVE);
    }
    Files.createDirectories(directory.resolve(Leftover.ROWS));
    Files.deleteIfExists(directory.resolve(Description.MANIFEST));
    return new Incoming(bundle, start, started, directory);
  }

  String id() {
    return SnapshotId.of(started);
  }

  long count() {
    return files.size();
  }

  long bytes() {
    return files.values().stream().mapToLong(Long::longValue).sum();
  }

  /** The first reason why this snapshot cannot be published, or null. */
  @Nullable Failure failure() {
    return failure;
  }

  /** Notes what went wrong on this side: none of what is here is used. */
  void fail(Failure reason) {
    failedHere = true;
    lack(reason);
  }

  /** Notes why a file did not come: what is here is the next run's. */
  void lack(Failure reason) {
    if (failure == null) {
      failure = reason;
    }
  }

  /** Whether the next run can go on with what is here. */
  boolean isOfUse() {
    return !failedHere && (!files.isEmpty() || start.leftover() != null);
  }

  /**
   * Takes one file in; one of the same name replaces the earlier. After a failure on this side it
   * does nothing.
   */
  void add(BackupFile file) {
    String uri = file.uri();
    if (failedHere) {
      return;
    }
    if (!Description.isFileName(uri) || OURS.contains(uri)) {
      fail(
          new Failure(ErrorCode.IPC.code(), "The service sent a file of the name \"" + uri + "\""));
      return;
    }
    Path target = directory.resolve(uri);
    try {
      requireNew(uri);
      Fd manifest = file.manifestFd();
      if (uri.equals(Description.INDEX)) {
        files.put(uri, file.fd().copyTo(target));
        if (manifest != null) {
          Path complete = directory.resolve(Description.MANIFEST);
          take(manifest, complete);
          beginWriteOut(complete);
        }
        return;
      }
      Path rows = directory.resolve(Leftover.ROWS).resolve(uri);
      if (manifest != null) {
        manifest.copyTo(rows);
      }
      if (Leftover.isPart(uri)) {
        files.put(uri, take(file.fd(), target));
        beginWriteOut(target);
      } else if (!reuse(rows, target)) {
        files.put(uri, file.fd().copyTo(target));
        beginWriteOut(target);
      }
    } catch (IOException e) {
      fail(Failure.of("\"" + target + "\" could not be written", e));
    }
  }

  /** Takes what the service made as it is where it can be had like that. */
  private static long take(Fd file, Path target) throws IOException {
    Files.deleteIfExists(target);
    boolean isNamed = Bridge.giveName(file.number(), PathBytes.of(target));
    return isNamed ? file.size() : file.copyTo(target);
  }

  /** The disk writes a file while the next one is made. */
  private static void beginWriteOut(Path target) throws IOException {
    try (Fd file = Fd.open(target, StandardOpenOption.READ)) {
      Bridge.beginWriteOut(file.number());
    }
  }

  /** A clock that was set back may give a part's name twice. */
  private void requireNew(String uri) throws IOException {
    Leftover leftover = start.leftover();
    if (leftover != null && leftover.parts().containsKey(uri)) {
      throw new IOException("it has the name of an earlier file; run the backup again");
    }
  }

  /** Puts what an interrupted run has left of that big file in its place, if it is there. */
  private boolean reuse(Path rows, Path target) throws IOException {
    Leftover leftover = start.leftover();
    if (leftover == null || !Files.exists(rows)) {
      return false;
    }
    for (Manifest.Row row : Manifest.read(rows).values()) {
      String left = leftover.takeBigFile(row);
      if (left != null) {
        Files.move(directory.resolve(left), target, StandardCopyOption.ATOMIC_MOVE);
        files.put(target.getFileName().toString(), row.size());
        return true;
      }
    }
    return false;
  }

  /**
   * Writes what a snapshot has beside its files, and makes all of it durable. The next run can
   * still go on with it.
   */
  void complete(ObjectNode capabilities, boolean partial, Json.Totals totals) throws IOException {
    Path manifest = directory.resolve(Description.MANIFEST);
    if (!files.containsKey(Description.INDEX) || !Files.exists(manifest)) {
      throw new IOException("The backup of \"" + bundle + "\" came without index or manifest");
    }
    new Tables(directory, start, files).write(id(), capabilities, partial, totals);
    Bridge.syncFileSystem(handle.number());
  }

  /** Makes a complete snapshot one that is there, durably, or fails and leaves none to be seen. */
  void publish() throws IOException {
    removeStrays();
    Path snapshot = start.home().resolve(id());
    Files.move(directory, snapshot, StandardCopyOption.ATOMIC_MOVE);
    try {
      Directories.sync(start.home());
    } catch (IOException e) {
      Files.move(snapshot, directory, StandardCopyOption.ATOMIC_MOVE);
      throw e;
    }
  }

  /** Removes all that is not the snapshot's. */
  private void removeStrays() throws IOException {
    for (Path entry : Directories.entries(directory)) {
      String name = entry.getFileName().toString();
      if (!files.containsKey(name) && !OURS.contains(name)) {
        Directories.removeAny(entry);
      }
    }
  }

  /** Removes what was written and not published. */
  void discard() throws IOException {
    Directories.remove(directory);
  }

  @Override
  public void close() {
    handle.close();
  }
}
