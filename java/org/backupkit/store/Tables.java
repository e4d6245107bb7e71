package org.backupkit.store;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;

/** What a snapshot that is being written says of itself: the index and the description. */
final class Tables {
  private static final int PART_MODE = 0100600;

  private final Path directory;
  private final Start start;
  private final Map<String, Long> files;

  /** Of a directory with an index and a manifest; {@code files} are those that have come. */
  Tables(Path directory, Start start, Map<String, Long> files) {
    this.directory = directory;
    this.start = start;
    this.files = files;
  }

  /** Writes them; the files become those of the snapshot, but manifest and description. */
  void write(String id, ObjectNode capabilities, boolean partial, Json.Totals totals)
      throws IOException {
    Set<String> needed = Manifest.files(directory.resolve(Description.MANIFEST)).keySet();
    Map<String, JsonNode> index = index(needed);
    // What was unstable has come and is in no index.
    files.keySet().removeIf(name -> !index.containsKey(name) && !name.equals(Description.INDEX));
    Contents base = start.base();
    boolean incremental = base != null && totals.whyFull().isEmpty();
    String bundle = start.home().getFileName().toString();
    ObjectNode description = Json.object();
    description.put("format", Description.FORMAT).put("bundle", bundle).put("id", id);
    description.put("kind", incremental ? "incremental" : "full");
    if (base != null && incremental) {
      description.put("base", base.id());
    }
    needs(base, needed).forEach(description.putArray("needs")::add);
    description.put("partial", partial);
    description.put("started", SnapshotId.time(id).toString());
    description.put("finished", Instant.now().toString());
    String version = SnapshotStore.class.getPackage().getImplementationVersion();
    description.put("tool", "backupkit " + Objects.requireNonNullElse(version, "development"));
    // Of a manifest that was not given for a reason, the service knows only that.
    String whyFull = start.whyAnew().isEmpty() ? totals.whyFull() : start.whyAnew();
    if (!whyFull.isEmpty()) {
      description.put("whyFull", whyFull);
    }
    if (Capabilities.entry(capabilities, bundle) instanceof ObjectNode entry) {
      description.set("capability", entry.deepCopy().put("spaceOccupied", totals.space()));
    }
    description.set("device", Capabilities.device(capabilities));
    description.set("files", list(index));
    if (partial) {
      totals.details().forEach(description.putArray("unreadable")::add);
    }
    Description.write(directory, description);
  }

  /** The index by file, with the parts that an interrupted run has left and the manifest names. */
  private Map<String, JsonNode> index(Set<String> needed) throws IOException {
    ArrayNode items = Json.array();
    Leftover leftover = start.leftover();
    if (leftover != null) {
      for (Map.Entry<String, Leftover.Part> part : leftover.parts().entrySet()) {
        if (needed.contains(part.getKey())) {
          files.put(part.getKey(), part.getValue().size());
          items.add(item(part.getKey(), part.getValue()));
        }
      }
    }
    Path file = directory.resolve(Description.INDEX);
    boolean takenOver = !items.isEmpty();
    items.addAll(Json.readArray(file));
    if (takenOver) {
      Files.write(file, Json.bytes(items));
      files.put(Description.INDEX, Files.size(file));
    }
    Map<String, JsonNode> index = new HashMap<>();
    items.forEach(item -> index.put(item.path("fileName").asText(), item));
    return index;
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

  /** The earlier snapshots that hold files of the manifest, the oldest first. */
  private Set<String> needs(@Nullable Contents base, Set<String> needed) throws IOException {
    Set<String> ids = new TreeSet<>();
    for (String name : needed) {
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
  private ArrayNode list(Map<String, JsonNode> index) throws IOException {
    ArrayNode list = Json.array();
    for (Map.Entry<String, Long> file : files.entrySet()) {
      String name = file.getKey();
      JsonNode known = index.get(name);
      String hash =
          known == null ? Hashes.of(directory.resolve(name)) : known.path("hash").asText();
      if (known != null && known.path("size").asLong() != file.getValue()) {
        throw new BackupException(
            ErrorCode.PACK_FAILED,
            "\""
                + known.at("/information/path").asText()
                + "\" changed while it was copied: "
                + name);
      }
      put(list, name, file.getValue(), hash);
    }
    Path manifest = directory.resolve(Description.MANIFEST);
    put(list, Description.MANIFEST, Files.size(manifest), Hashes.of(manifest));
    for (String name : index.keySet()) {
      if (!files.containsKey(name)) {
        throw new IOException("The index names \"" + name + "\", which did not come");
      }
    }
    return list;
  }

  private static void put(ArrayNode list, String name, long size, String hash) {
    list.addObject().put("name", name).put("size", size).put("hash", hash);
  }
}
