package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Two directories, entry by entry: type, mode, owner, group, time in ns, content, link target. */
final class TreeComparison {
  private static final int SHOWN = 20;

  private final List<String> differences = new ArrayList<>();
  private long entries;
  private long count;

  private TreeComparison() {}

  /** Compares all below the two; they themselves are not compared. */
  static TreeComparison of(Path expected, Path actual) throws IOException {
    TreeComparison comparison = new TreeComparison();
    comparison.directory(expected, actual);
    return comparison;
  }

  /** The entries of the first one. */
  long entries() {
    return entries;
  }

  /** The first differences, a sentence each. */
  List<String> differences() {
    return differences;
  }

  /** The number of all differences. */
  long differenceCount() {
    return count;
  }

  private void directory(Path expected, Path actual) throws IOException {
    TreeSet<String> names = names(expected);
    for (String name : names(actual)) {
      if (!names.contains(name) && !name.equals(".backup")) {
        note(actual.resolve(name), "is new");
      }
    }
    for (String name : names) {
      entries++;
      Path left = expected.resolve(name);
      Path right = actual.resolve(name);
      if (!Files.exists(right, LinkOption.NOFOLLOW_LINKS)) {
        note(right, "is missing");
      } else {
        entry(left, right);
      }
    }
  }

  private void entry(Path left, Path right) throws IOException {
    Map<String, Object> expected = attributes(left);
    Map<String, Object> actual = attributes(right);
    if (!expected.equals(actual)) {
      note(right, "is " + actual + ", was " + expected);
    }
    if (type(expected) != type(actual)) {
      return;
    }
    if (Files.isSymbolicLink(left)) {
      if (!Files.readSymbolicLink(left).equals(Files.readSymbolicLink(right))) {
        note(right, "leads elsewhere");
      }
    } else if (Files.isDirectory(left)) {
      directory(left, right);
    } else if (Files.isRegularFile(left) && Files.mismatch(left, right) >= 0) {
      note(right, "has other content");
    }
  }

  private static int type(Map<String, Object> attributes) {
    return (Integer) Objects.requireNonNull(attributes.get("mode")) & 0170000;
  }

  private static Map<String, Object> attributes(Path path) throws IOException {
    Map<String, Object> all =
        Files.readAttributes(path, "unix:mode,uid,gid,lastModifiedTime", LinkOption.NOFOLLOW_LINKS);
    return Map.copyOf(all);
  }

  private static TreeSet<String> names(Path directory) throws IOException {
    try (Stream<Path> found = Files.list(directory)) {
      return found
          .map(path -> path.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }

  private void note(Path path, String what) {
    count++;
    if (differences.size() < SHOWN) {
      differences.add("\"" + path + "\" " + what);
    }
  }
}
