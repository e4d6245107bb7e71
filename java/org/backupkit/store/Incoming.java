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
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import org.backupkit.BackupFile;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.internal.Bridge;
import org.jspecify.annotations.Nullable;

/** One bundle's snapshot while it is written. Used by one thread. */
final class Incoming {
  static final String PREFIX = ".incoming-";
  static final String DESCRIPTION = "snapshot.json";
  static final String INDEX = "manage.json";
  static final int FORMAT = 1;
  static final DateTimeFormatter ID =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss.SSS'Z'").withZone(ZoneOffset.UTC);
  private static final Pattern URI = Pattern.compile("[0-9A-Za-z_.]{1,255}");

  private final String bundle;
  private final Path home;
  private final Instant started;
  private final Path directory;
  private final Map<String, Long> files = new LinkedHashMap<>();
  private @Nullable Failure failure;

  private Incoming(String bundle, Path home, Instant started, Path directory) {
    this.bundle = bundle;
    this.home = home;
    this.started = started;
    this.directory = directory;
  }

  /** Begins a snapshot of the bundle whose snapshots are in {@code home}. */
  static Incoming begin(String bundle, Path home) throws IOException {
    Files.createDirectories(home);
    Instant started = Instant.ofEpochMilli(System.currentTimeMillis());
    while (Files.exists(home.resolve(ID.format(started)))) {
      started = started.plusMillis(1);
    }
    Path directory = Files.createDirectory(home.resolve(PREFIX + ID.format(started)));
    return new Incoming(bundle, home, started, directory);
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
    if (!URI.matcher(uri).matches() || uri.matches("\\.\\.?") || uri.equals(DESCRIPTION)) {
      fail(
          new Failure(ErrorCode.IPC.code(), "The service sent a file of the name \"" + uri + "\""));
      return;
    }
    Path target = directory.resolve(uri);
    try {
      files.put(uri, file.fd().copyTo(target));
    } catch (IOException e) {
      fail(Failure.of("\"" + target + "\" could not be written", e));
    }
  }

  /** Makes the snapshot one that is there, durably, or fails and leaves nothing to be seen. */
  void publish(
      @Nullable JsonNode capability, @Nullable JsonNode device, boolean partial, Json.Totals totals)
      throws IOException {
    if (!files.containsKey(INDEX)) {
      throw new IOException("The backup of \"" + bundle + "\" came without " + INDEX);
    }
    ObjectNode description = describe(capability, device, partial, totals);
    Files.write(directory.resolve(DESCRIPTION), Json.bytes(description));
    try (Fd handle = Fd.open(directory, StandardOpenOption.READ)) {
      Bridge.syncFileSystem(handle.number());
    }
    Files.move(directory, home.resolve(id()), StandardCopyOption.ATOMIC_MOVE);
    Directories.sync(home);
  }

  private ObjectNode describe(
      @Nullable JsonNode capability,
      @Nullable JsonNode device,
      boolean partial,
      Json.Totals totals) {
    ObjectNode description = Json.object();
    description.put("format", FORMAT).put("bundle", bundle).put("id", id()).put("kind", "full");
    description.put("partial", partial);
    description.put("started", started.toString()).put("finished", Instant.now().toString());
    String version = SnapshotStore.class.getPackage().getImplementationVersion();
    description.put("tool", "backupkit " + Objects.requireNonNullElse(version, "development"));
    description.put("bytes", bytes());
    description.set("capability", capability);
    description.set("device", device);
    ArrayNode list = description.putArray("files");
    files.forEach((name, size) -> list.addObject().put("name", name).put("size", size));
    if (partial) {
      totals.details().forEach(description.putArray("unreadable")::add);
    }
    return description;
  }

  /** Removes what was written and not published. */
  void discard() throws IOException {
    Directories.remove(directory);
  }
}
