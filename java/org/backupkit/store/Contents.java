package org.backupkit.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.backupkit.store.Description.Item;
import org.backupkit.store.Manifest.Row;
import org.jspecify.annotations.Nullable;

/**
 * All that one snapshot stands for: its own files and those of earlier ones that its manifest
 * names, with one index of them. Made only when every file is there with its size, and the index
 * and the manifest with their hashes.
 */
final class Contents {
  private final Path snapshot;
  private final Description description;
  private final Map<String, Path> files = new LinkedHashMap<>();
  private final Set<String> parts = new HashSet<>();
  private final ArrayNode index = Json.array();

  private Contents(Path snapshot, Description description) {
    this.snapshot = snapshot;
    this.description = description;
  }

  /**
   * Looks at a snapshot and at those it needs.
   *
   * @throws org.backupkit.BackupException 13500008 when something is damaged or not there
   */
  static Contents of(Path snapshot) throws IOException {
    Contents contents = new Contents(snapshot, Description.read(snapshot));
    checkTables(snapshot, contents.description);
    if (!contents.description.hasManifest()) {
      contents.take(snapshot, contents.description, null);
      return contents;
    }
    Map<String, Row> needed = Manifest.files(snapshot.resolve(Description.MANIFEST));
    for (String id : contents.description.needs()) {
      Path earlier = snapshot.resolveSibling(id);
      Description other = Description.read(earlier);
      checkTables(earlier, other);
      contents.take(earlier, other, needed.keySet());
    }
    contents.take(snapshot, contents.description, needed.keySet());
    for (Map.Entry<String, Row> need : needed.entrySet()) {
      if (!contents.files.containsKey(need.getKey())) {
        String entry = Manifest.readable(need.getValue().path());
        throw Description.damaged(
            snapshot,
            "no snapshot that it needs has \"" + need.getKey() + "\" with \"" + entry + "\"");
      }
    }
    return contents;
  }

  String id() {
    return snapshot.getFileName().toString();
  }

  /** When its backup began. */
  Instant started() {
    return SnapshotId.time(id());
  }

  Description description() {
    return description;
  }

  /** The files to hand over but the index, the parts of earlier snapshots first. */
  List<String> names() {
    return new ArrayList<>(files.keySet());
  }

  /** Where the file of that name is; null where the snapshot does not need one of that name. */
  @Nullable Path file(String name) {
    return files.get(name);
  }

  /** Where the archive of that name is; null for what is none, or where no snapshot needs it. */
  @Nullable Path part(String name) {
    return parts.contains(name) ? files.get(name) : null;
  }

  /** Where one of the names() is. */
  Path path(String name) {
    return Objects.requireNonNull(files.get(name));
  }

  /** The index of all of it. */
  byte[] index() {
    return Json.bytes(index);
  }

  /** The complete manifest; null where the snapshot was taken without one. */
  @Nullable Path manifest() {
    return description.manifest(snapshot);
  }

  /** Takes the wanted files of one snapshot, all where {@code wanted} is null. */
  private void take(Path from, Description other, @Nullable Set<String> wanted) throws IOException {
    for (Item item : other.files().values()) {
      boolean table =
          item.name().equals(Description.INDEX) || item.name().equals(Description.MANIFEST);
      if (table || (wanted != null && !wanted.contains(item.name()))) {
        continue;
      }
      checkSize(from, item);
      files.put(item.name(), from.resolve(item.name()));
    }
    Map<String, JsonNode> listed = new HashMap<>();
    for (JsonNode item : Json.readArray(from.resolve(Description.INDEX))) {
      String name = item.path("fileName").asText();
      Path known = files.get(name);
      if (known != null && from.equals(known.getParent()) && listed.put(name, item) == null) {
        index.add(item);
        if (!item.path("isBigFile").asBoolean()) {
          parts.add(name);
        }
      }
    }
  }

  private static void checkTables(Path snapshot, Description description) throws IOException {
    for (String name : List.of(Description.INDEX, Description.MANIFEST)) {
      Item item = description.files().get(name);
      if (item != null) {
        checkSize(snapshot, item);
        if (!item.hash().isEmpty() && !Hashes.of(snapshot.resolve(name)).equals(item.hash())) {
          throw Description.damaged(
              snapshot, "\"" + snapshot.resolve(name) + "\" has another hash");
        }
      }
    }
  }

  private static void checkSize(Path snapshot, Item item) throws IOException {
    Path path = snapshot.resolve(item.name());
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS) || Files.size(path) != item.size()) {
      throw Description.damaged(snapshot, "\"" + path + "\" is not there or not of its size");
    }
  }
}
