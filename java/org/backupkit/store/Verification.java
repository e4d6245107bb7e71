package org.backupkit.store;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.backupkit.ErrorCode;
import org.backupkit.internal.SerialExecutor;
import org.backupkit.store.Description.Item;
import org.backupkit.store.Manifest.Row;
import org.backupkit.store.ProgressEvent.Kind;
import org.backupkit.store.VerifyReport.Damage;

/** Compares the files of snapshots with their hashes. Used by one thread. */
final class Verification {
  private static final String OTHER = "its hash or size is another one";

  private final int percent;
  private final Progress progress;
  private final long start = System.nanoTime();
  private final List<Damage> damage = new ArrayList<>();
  private long snapshots;
  private long files;
  private long hashed;
  private long unhashed;
  private long bytes;

  /** Reads so many of a hundred files, chosen by chance; the tables always. */
  Verification(int percent, Progress progress) {
    this.percent = percent;
    this.progress = event -> SerialExecutor.guarded(() -> progress.on(event));
  }

  VerifyReport report() {
    Duration elapsed = Duration.ofNanos(System.nanoTime() - start);
    return new VerifyReport(damage, snapshots, files, hashed, unhashed, bytes, elapsed);
  }

  /** Adds what was found elsewhere. */
  void find(Damage found) {
    damage.add(found);
  }

  /** Looks at one snapshot. */
  void look(Path directory) {
    OneSnapshot one = new OneSnapshot(directory);
    int before = damage.size();
    one.tell(Kind.BEGIN, one.id, 0);
    try {
      one.look(Description.read(directory));
    } catch (IOException e) {
      one.find(Description.FILE, "", e);
    }
    if (Directories.wasRemoved(directory)) {
      damage.subList(before, damage.size()).clear();
    } else {
      snapshots++;
    }
    boolean whole = damage.size() == before;
    one.tell(
        Kind.END,
        whole ? one.id : damage.get(before).message(),
        whole ? 0 : ErrorCode.UNPACK_FAILED.code());
  }

  private final class OneSnapshot {
    private final Path directory;
    private final String bundle;
    private final String id;
    private final Map<String, JsonNode> index = new HashMap<>();
    private boolean namesEntries; // the manifest can be read
    private long count;
    private long size;

    OneSnapshot(Path directory) {
      this.directory = directory;
      this.bundle = directory.getParent().getFileName().toString();
      this.id = directory.getFileName().toString();
    }

    void look(Description description) {
      Map<String, Item> items = new LinkedHashMap<>(description.files());
      for (String need : description.needs()) {
        if (!Files.isDirectory(directory.resolveSibling(need))) {
          find("", "", "the snapshot " + need + ", which has files of it, is not there");
        }
      }
      boolean readable = true;
      for (String table : List.of(Description.INDEX, Description.MANIFEST)) {
        Item item = items.remove(table);
        readable = (item == null || isWhole(item, item.hash())) && readable;
      }
      if (!readable) {
        items.values().forEach(item -> check(item, item.hash()));
        return;
      }
      try {
        for (JsonNode item : Json.readArray(directory.resolve(Description.INDEX))) {
          index.put(item.path("fileName").asText(), item);
        }
      } catch (IOException e) {
        find(Description.INDEX, "", e);
      }
      try {
        if (description.hasManifest()) {
          Manifest.each(manifest(), row -> {});
          namesEntries = true;
        }
      } catch (IOException e) {
        find(Description.MANIFEST, "", e);
      }
      for (Item item : items.values()) {
        // Of format 1, the index alone has hashes.
        JsonNode listed = index.get(item.name());
        check(item, listed == null ? item.hash() : listed.path("hash").asText());
      }
    }

    private void check(Item item, String hash) {
      if (hash.isEmpty()) {
        unhashed++;
      }
      boolean read = ThreadLocalRandom.current().nextInt(100) < percent;
      if (!isWhole(item, read ? hash : "")) {
        name(item);
      }
    }

    /** Whether a file is there with its size and, unless it is empty, its hash. */
    private boolean isWhole(Item item, String hash) {
      files++;
      count++;
      size += item.size();
      Path path = directory.resolve(item.name());
      boolean whole = false;
      try {
        if (Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)
            && Files.size(path) == item.size()) {
          whole = hash.isEmpty() || Hashes.of(path).equals(hash);
          hashed += hash.isEmpty() ? 0 : 1;
          bytes += hash.isEmpty() ? 0 : item.size();
        }
      } catch (IOException e) {
        whole = false; // what cannot be read is as good as damaged
      }
      tell(Kind.FILE, item.name(), 0);
      boolean table = item.name().equals(Description.INDEX);
      if (!whole && (table || item.name().equals(Description.MANIFEST))) {
        find(item.name(), "", OTHER);
      }
      return whole;
    }

    /** Finds the entries of a damaged file. */
    private void name(Item item) {
      JsonNode listed = index.getOrDefault(item.name(), Json.object());
      int before = damage.size();
      try {
        if (listed.path("isBigFile").asBoolean()) {
          String path = listed.at("/information/path").asText();
          boolean encoded = listed.path("encodeFlag").asInt() == 1;
          find(item.name(), encoded ? Manifest.readable(Manifest.decoded(path)) : path, OTHER);
        } else if (namesEntries) {
          nameEntries(item.name(), listed.path("entries").asLong());
        }
      } catch (IOException e) {
        find(item.name(), "", e);
      }
      if (damage.size() == before) {
        find(item.name(), "", OTHER);
      }
    }

    private void nameEntries(String part, long entries) throws IOException {
      Map<String, Row> rows = new LinkedHashMap<>();
      Manifest.each(
          manifest(),
          row -> {
            if (row.in().equals(part)) {
              rows.put(row.path(), row);
            }
          });
      long replaced = Math.max(0, entries - rows.size());
      PartCheck check = PartCheck.of(directory.resolve(part), rows, replaced);
      check.findings().forEach(found -> find(part, found.entry(), found.what()));
      List<String> unproven = check.unproven();
      if (check.findings().isEmpty() && !unproven.isEmpty()) {
        int others = unproven.size() - 1;
        String which = others == 0 ? "" : ", or those of one of " + others + " others";
        find(part, Manifest.readable(unproven.get(0)), "its attributes" + which);
      }
    }

    private Path manifest() {
      return directory.resolve(Description.MANIFEST);
    }

    private void find(String file, String entry, IOException cause) {
      find(file, entry, Failure.of("it cannot be read", cause).message());
    }

    private void find(String file, String entry, String message) {
      damage.add(new Damage(bundle, id, file, entry, message));
    }

    private void tell(Kind kind, String text, int code) {
      progress.on(new ProgressEvent(kind, bundle, text, count, size, code));
    }
  }
}
