package org.backupkit.store;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.backupkit.store.Manifest.Row;
import org.jspecify.annotations.Nullable;

/**
 * What an interrupted run of a bundle has left that the next one can use: each file that is whole.
 *
 * <pre>
 *   .incoming-ID / files  rows/ manifest of each file
 * </pre>
 *
 * Nothing of it was synced, so a file counts only if all of it is as its manifest says. A part is
 * taken over as it is: the service is told its rows and leaves out what has not changed. A big file
 * is handed out again, and when it is the same, what is here takes the place of a copy.
 */
final class Leftover {
  static final String ROWS = "rows";
  private static final Pattern PART = Pattern.compile("([0-9]+_)?part\\.[0-9]+\\.tar");

  /** A part that is whole. */
  record Part(long size, String hash, Map<String, Row> rows) {}

  private final Path directory;
  private final Map<String, Part> parts = new LinkedHashMap<>();
  private final Map<String, String> bigFiles = new HashMap<>();

  private Leftover(Path directory) {
    this.directory = directory;
  }

  /** What is usable in an interrupted run's directory; null: nothing is. Reads every file there. */
  static @Nullable Leftover of(Path directory) throws IOException {
    Leftover left = new Leftover(directory);
    Path rows = directory.resolve(ROWS);
    if (Files.isDirectory(rows)) {
      for (Path manifest : Directories.entries(rows)) {
        try {
          left.take(manifest.getFileName().toString(), Manifest.read(manifest));
        } catch (IOException e) {
          // It was torn: the file counts as not there.
        }
      }
    }
    return left.parts.isEmpty() && left.bigFiles.isEmpty() ? null : left;
  }

  /** Whether a file of that name is a part, and not a big file. */
  static boolean isPart(String uri) {
    return PART.matcher(uri).matches();
  }

  Path directory() {
    return directory;
  }

  Map<String, Part> parts() {
    return parts;
  }

  /** Gives away the name of the file that has that row's content, if there is one. */
  @Nullable String takeBigFile(Row row) {
    return bigFiles.remove(key(row));
  }

  private void take(String uri, Map<String, Row> rows) throws IOException {
    Path file = directory.resolve(uri);
    if (isPart(uri)) {
      PartCheck check = PartCheck.of(file, rows, 0);
      if (check.findings().isEmpty() && check.unproven().isEmpty()) {
        parts.put(uri, new Part(Files.size(file), Hashes.of(file), rows));
      }
    } else if (rows.size() == 1) {
      Row row = rows.values().iterator().next();
      if (!row.hash().isEmpty() && Hashes.of(file).equals(row.hash())) {
        bigFiles.put(key(row), uri);
      }
    }
  }

  private static String key(Row row) {
    return row.hash() + ";" + row.size() + ";" + row.path();
  }
}
