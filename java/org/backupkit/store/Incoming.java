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
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.internal.Bridge;
import org.jspecify.annotations.Nullable;

/** One bundle's snapshot while it is written. Used by one thread. */
final class Incoming {
  static final String PREFIX = ".incoming-";
  static final DateTimeFormatter ID =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss.SSS'Z'").withZone(ZoneOffset.UTC);
  private static final Pattern URI = Pattern.compile("[0-9A-Za-z_.]{1,255}");
  private static final Set<String> OURS = Set.of(Description.FILE, Description.MANIFEST);

  private final String bundle;
  private final Path home;
  private final @Nullable Contents base;
  private final Instant started;
  private final Path directory;
  private final Map<String, Long> files = new LinkedHashMap<>();
  private @Nullable Failure failure;

  private Incoming(
      String bundle, Path home, @Nullable Contents base, Instant started, Path directory) {
    this.bundle = bundle;
    this.home = home;
    this.base = base;
    this.started = started;
    this.directory = directory;
  }

  /**
   * Begins a snapshot of the bundle whose snapshots are in {@code home}; {@code base} is the one
   * that the service compares with.
   */
  static Incoming begin(String bundle, Path home, @Nullable Contents base) throws IOException {
    if (!Files.isDirectory(home)) {
      Files.createDirectories(home);
      Directories.sync(home.getParent());
    }
    Instant started = Instant.ofEpochMilli(System.currentTimeMillis());
    while (Files.exists(home.resolve(ID.format(started)))) {
      started = started.plusMillis(1);
    }
    Path directory = Files.createDirectory(home.resolve(PREFIX + ID.format(started)));
    return new Incoming(bundle, home, base, started, directory);
  }

  String id() {
    return ID.format(started);
  }

  long count() {
    return files.size();
  }

  long bytes() {
    return files.values().stream().mapToLong(Long::longValue).sum();
  }

  /** The first thing that went wrong on this side, or null. */
  @Nullable Failure failure() {
    return failure;
  }

  /** Notes why this snapshot cannot be published; the first reason counts. */
  void fail(Failure reason) {
    if (failure == null) {
      failure = reason;
    }
  }

  /**
   * Copies one file in; one of the same name replaces the earlier. After a failure it does nothing.
   */
  void add(BackupFile file) {
    String uri = file.uri();
    if (failure != null) {
      return;
    }
    if (!URI.matcher(uri).matches() || uri.matches("\\.\\.?") || OURS.contains(uri)) {
      fail(
          new Failure(ErrorCode.IPC.code(), "The service sent a file of the name \"" + uri + "\""));
      return;
    }
    Path target = directory.resolve(uri);
    try {
      files.put(uri, file.fd().copyTo(target));
      Fd manifest = file.manifestFd();
      if (uri.equals(Description.INDEX) && manifest != null) {
        target = directory.resolve(Description.MANIFEST);
        manifest.copyTo(target);
      }
    } catch (IOException e) {
      fail(Failure.of("\"" + target + "\" could not be written", e));
    }
  }

  /** Makes the snapshot one that is there, durably, or fails and leaves nothing to be seen. */
  void publish(ObjectNode capabilities, boolean partial, Json.Totals totals) throws IOException {
    Path manifest = directory.resolve(Description.MANIFEST);
    if (!files.containsKey(Description.INDEX) || !Files.exists(manifest)) {
      throw new IOException("The backup of \"" + bundle + "\" came without index or manifest");
    }
    Description.write(directory, describe(capabilities, partial, totals));
    try (Fd handle = Fd.open(directory, StandardOpenOption.READ)) {
      Bridge.syncFileSystem(handle.number());
    }
    Files.move(directory, home.resolve(id()), StandardCopyOption.ATOMIC_MOVE);
    Directories.sync(home);
  }

  private ObjectNode describe(ObjectNode capabilities, boolean partial, Json.Totals totals)
      throws IOException {
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
        item.put("hash", known == null ? "" : known.path("hash").asText());
        if (known == null || known.path("size").asLong() != file.getValue()) {
          String path =
              known == null ? "" : " (\"" + known.at("/information/path").asText() + "\")";
          throw new BackupException(
              ErrorCode.PACK_FAILED,
              "\"" + name + "\"" + path + " changed while it was copied, or is not in the index");
        }
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
