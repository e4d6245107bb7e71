package org.backupkit.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.jspecify.annotations.Nullable;

/**
 * A snapshot's {@code snapshot.json}.
 *
 * <pre>
 *   { "format": 2, "bundle": name, "id": id, "kind": "full" | "incremental", "base"?: id,
 *     "needs": [ *id ], "partial": bool, "started": time, "finished": time, "tool": text,
 *     "whyFull"?: text, "capability": entry of the capability file, "device": its other fields,
 *     "files": [ *{ "name": text, "size": n, "hash": text } ], "unreadable"?: [ *text ],
 *     "hash": text }
 * </pre>
 *
 * {@code base} is the snapshot that it was compared with, {@code needs} are those that hold files
 * that its manifest names, the oldest first. {@code hash}, the last member, is that of all bytes
 * before its digits. Of format 1 are full backups without manifest, base, needs and hashes.
 */
final class Description {
  static final String FILE = "snapshot.json";
  static final String INDEX = "manage.json";
  static final String MANIFEST = "manifest";
  static final int FORMAT = 2;
  private static final Pattern FILE_NAME = Pattern.compile("(?!\\.\\.?$)[0-9A-Za-z_.]{1,255}");
  private static final String ZEROS = "0".repeat(32);
  private static final String TAIL = "\"\n}\n";

  /** One of the snapshot's files; an empty hash is not known. */
  record Item(String name, long size, String hash) {}

  private final ObjectNode content;
  private final Map<String, Item> files = new LinkedHashMap<>();

  private Description(ObjectNode content) {
    this.content = content;
    for (JsonNode file : content.path("files")) {
      String name = file.path("name").asText();
      files.put(name, new Item(name, file.path("size").asLong(), file.path("hash").asText()));
    }
  }

  /**
   * Reads the one in a snapshot's directory.
   *
   * @throws BackupException 13500008 when it is damaged, or of a format that is not known
   */
  static Description read(Path snapshot) throws IOException {
    Path file = snapshot.resolve(FILE);
    ObjectNode content;
    try {
      content = Json.read(file);
    } catch (IOException e) {
      throw damaged(snapshot, e.getMessage());
    }
    int format = content.path("format").asInt();
    if (format < 1 || format > FORMAT) {
      throw damaged(snapshot, "\"" + file + "\" is damaged or of a newer version");
    }
    // An unharmed one of format 1 has nothing that looks like a hash.
    if ((format == FORMAT || content.has("hash")) && !isWhole(file)) {
      throw damaged(snapshot, "\"" + file + "\" is damaged: its hash is another one");
    }
    Description description = new Description(content);
    String foreign = description.foreignName();
    if (foreign != null) {
      throw damaged(snapshot, "\"" + file + "\" names \"" + foreign + "\"");
    }
    return description;
  }

  /** Whether a file of a snapshot may have that name; it leads nowhere else. */
  static boolean isFileName(String name) {
    return FILE_NAME.matcher(name).matches();
  }

  /** Writes one; the hash is added to the content. */
  static void write(Path snapshot, ObjectNode content) throws IOException {
    Path file = snapshot.resolve(FILE);
    content.put("hash", Hashes.PREFIX + ZEROS);
    String text = new String(Json.bytes(content), StandardCharsets.UTF_8) + "\n";
    String before = text.substring(0, text.length() - ZEROS.length() - TAIL.length());
    Files.writeString(file, before);
    String digits = Hashes.of(file).substring(Hashes.PREFIX.length());
    Files.writeString(file, digits + TAIL, StandardOpenOption.APPEND);
  }

  private static boolean isWhole(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int end = ZEROS.length() + TAIL.length();
    if (bytes.length < end) {
      return false;
    }
    int before = bytes.length - end;
    try (Fd fd = Fd.open(file, StandardOpenOption.READ)) {
      String hash = Hashes.of(fd, 0, before).substring(Hashes.PREFIX.length());
      return new String(bytes, before, end, StandardCharsets.ISO_8859_1).equals(hash + TAIL);
    }
  }

  static BackupException damaged(Path snapshot, String message) {
    return new BackupException(
        ErrorCode.UNPACK_FAILED.code(),
        "The snapshot is damaged: " + message,
        snapshot.getParent().getFileName().toString(),
        null);
  }

  ObjectNode content() {
    return content;
  }

  String text(String field) {
    return content.path(field).asText();
  }

  /** The snapshots that hold what this one lacks, the oldest first. */
  List<String> needs() {
    List<String> ids = new ArrayList<>();
    content.path("needs").forEach(id -> ids.add(id.asText()));
    return ids;
  }

  /** The files by name, in their order. */
  Map<String, Item> files() {
    return Collections.unmodifiableMap(files);
  }

  /** The sizes of all files. */
  long bytes() {
    return files.values().stream().mapToLong(Item::size).sum();
  }

  /** The first file or snapshot of a name that none can have, or null. */
  private @Nullable String foreignName() {
    for (String name : files.keySet()) {
      if (!isFileName(name)) {
        return name;
      }
    }
    List<String> ids = needs();
    if (content.has("base")) {
      ids.add(text("base"));
    }
    return ids.stream().filter(id -> !SnapshotId.isOne(id)).findFirst().orElse(null);
  }

  /** Whether the snapshot has a manifest: those of format 1 have none. */
  boolean hasManifest() {
    return files.containsKey(MANIFEST);
  }

  /** The manifest in the snapshot's directory, or null. */
  @Nullable Path manifest(Path snapshot) {
    return hasManifest() ? snapshot.resolve(MANIFEST) : null;
  }
}
