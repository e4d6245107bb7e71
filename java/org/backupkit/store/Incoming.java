package org.backupkit.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.internal.Bridge;
import org.jspecify.annotations.Nullable;

/** One bundle's snapshot while it is written. Used by one thread. */
final class Incoming {
  static final String PREFIX = ".incoming-";
  private static final int PART_MODE = 0100600;
  private static final Set<String> OURS = Set.of(Description.FILE, Description.MANIFEST);

  private final String bundle;
  private final Start start;
  private final Instant started;
  private final Path directory;
  private final Map<String, Long> files = new LinkedHashMap<>();
  private @Nullable Failure failure;
  private boolean failedHere;

  private Incoming(String bundle, Start start, Instant started, Path directory) {
    this.bundle = bundle;
    this.start = start;
    this.started = started;
    this.directory = directory;
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
    Files.createDirectories(directory.resolve(Leftover.HASHES));
    Files.deleteIfExists(directory.resolve(Description.MANIFEST));
    return new Incoming(bundle, start, started, directory);
  }

  /** When the snapshot of that directory began, finished or not. */
  static Instant started(Path directory) {
    String name = directory.getFileName().toString();
    return SnapshotId.time(name.replace(PREFIX, ""));
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
   * Copies one file in; one of the same name replaces the earlier. After a failure on this side it
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
      Fd manifest = file.manifestFd();
      if (uri.equals(Description.INDEX)) {
        files.put(uri, file.fd().copyTo(target));
        if (manifest != null) {
          manifest.copyTo(directory.resolve(Description.MANIFEST));
        }
        return;
      }
      Path rows = directory.resolve(Leftover.ROWS).resolve(uri);
      if (manifest != null) {
        manifest.copyTo(rows);
      }
      if (Leftover.isPart(uri)) {
        files.put(uri, file.fd().copyTo(target));
        Files.writeString(directory.resolve(Leftover.HASHES).resolve(uri), Hashes.of(target));
      } else if (!reuse(rows, target)) {
        files.put(uri, file.fd().copyTo(target));
      }
    } catch (IOException e) {
      fail(Failure.of("\"" + target + "\" could not be written", e));
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

  /** Takes over the parts that an interrupted run has left and the manifest names. */
  private void settle() throws IOException {
    Leftover leftover = start.leftover();
    ArrayNode index = Json.array();
    if (leftover != null) {
      Set<String> needed = Contents.neededBy(directory.resolve(Description.MANIFEST)).keySet();
      for (Map.Entry<String, Leftover.Part> part : leftover.parts().entrySet()) {
        if (needed.contains(part.getKey()) && !files.containsKey(part.getKey())) {
          files.put(part.getKey(), part.getValue().size());
          index.add(item(part.getKey(), part.getValue()));
        }
      }
    }
    Path file = directory.resolve(Description.INDEX);
    boolean takenOver = !index.isEmpty();
    index.addAll(Json.readArray(file));
    if (takenOver) {
      Files.write(file, Json.bytes(index));
      files.put(Description.INDEX, Files.size(file));
    }
    Set<String> listed = new HashSet<>(Set.of(Description.INDEX));
    index.forEach(item -> listed.add(item.path("fileName").asText()));
    files.keySet().retainAll(listed); // what was unstable has come and is in no index
  }

  /** A part's item of the index, as the service writes it. */
  private static ObjectNode item(String name, Leftover.Part part) {
    ObjectNode item = Json.object().put("fileName", name);
    ObjectNode information = item.putObject("information").put("path", name);
    ObjectNode stat = information.putObject("stat").put("st_size", part.size());
    stat.put("st_mode", PART_MODE);
    for (String time : List.of("st_atim", "st_mtim")) {
      stat.putObject(time).put("tv_sec", 0).put("tv_nsec", 0);
    }
    item.put("isUserTar", false).put("isBigFile", false).put("size", part.size());
    return item.put("hash", part.hash()).put("entries", part.rows().size());
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
    settle();
    Description.write(directory, describe(capabilities, partial, totals));
    try (Fd handle = Fd.open(directory, StandardOpenOption.READ)) {
      Bridge.syncFileSystem(handle.number());
    }
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

  private ObjectNode describe(ObjectNode capabilities, boolean partial, Json.Totals totals)
      throws IOException {
    Contents base = start.base();
    boolean incremental = base != null && totals.whyFull().isEmpty();
    ObjectNode description = Json.object();
    description.put("format", Description.FORMAT).put("bundle", bundle).put("id", id());
    description.put("kind", incremental ? "incremental" : "full");
    if (base != null && incremental) {
      description.put("base", base.id());
    }
    needs().forEach(description.putArray("needs")::add);
    description.put("partial", partial);
    description.put("started", started.toString()).put("finished", Instant.now().toString());
    String version = SnapshotStore.class.getPackage().getImplementationVersion();
    description.put("tool", "backupkit " + Objects.requireNonNullElse(version, "development"));
    description.put("bytes", bytes());
    if (!totals.whyFull().isEmpty()) {
      description.put("whyFull", totals.whyFull());
    }
    description.set("capability", Capabilities.entry(capabilities, bundle));
    description.set("device", Capabilities.device(capabilities));
    description.set("files", list());
    if (partial) {
      totals.details().forEach(description.putArray("unreadable")::add);
    }
    return description;
  }

  /** The earlier snapshots that hold files of the manifest, the oldest first. */
  private Set<String> needs() throws IOException {
    Contents base = start.base();
    Set<String> ids = new TreeSet<>();
    for (String name : Contents.neededBy(directory.resolve(Description.MANIFEST)).keySet()) {
      Path earlier = base == null ? null : base.file(name);
      if (earlier != null && files.containsKey(name)) {
        throw new IOException("\"" + name + "\" is the name of an earlier file, too; run it again");
      }
      if (earlier != null) {
        ids.add(earlier.getParent().getFileName().toString());
      } else if (!files.containsKey(name)) {
        throw new IOException("The manifest names \"" + name + "\", which is nowhere");
      }
    }
    return ids;
  }

  /** The files with size and hash; the sizes must be those of the index. */
  private ArrayNode list() throws IOException {
    Map<String, JsonNode> indexed = new HashMap<>();
    for (JsonNode item : Json.readArray(directory.resolve(Description.INDEX))) {
      indexed.put(item.path("fileName").asText(), item);
    }
    ArrayNode list = Json.array();
    for (Map.Entry<String, Long> file : files.entrySet()) {
      String name = file.getKey();
      ObjectNode item = list.addObject().put("name", name).put("size", file.getValue());
      if (name.equals(Description.INDEX)) {
        item.put("hash", Hashes.of(directory.resolve(name)));
      } else {
        JsonNode known = indexed.remove(name);
        if (known == null || known.path("size").asLong() != file.getValue()) {
          String path = known == null ? "" : known.at("/information/path").asText();
          throw new BackupException(
              ErrorCode.PACK_FAILED, "\"" + path + "\" changed while it was copied: " + name);
        }
        item.put("hash", known.path("hash").asText());
      }
    }
    Path manifest = directory.resolve(Description.MANIFEST);
    ObjectNode item = list.addObject().put("name", Description.MANIFEST);
    item.put("size", Files.size(manifest)).put("hash", Hashes.of(manifest));
    if (!indexed.isEmpty()) {
      throw new IOException("The index names " + indexed.keySet() + ", which did not come");
    }
    return list;
  }

  /** Removes what was written and not published. */
  void discard() throws IOException {
    Directories.remove(directory);
  }
}
