package org.backupkit.cli;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Copies of this machine's own files, as the apps of a device root. Used by one thread. */
final class DemoData {
  private static final long ENOUGH_FILES = 20_000;
  private static final long ENOUGH_BYTES = 300_000_000;

  private final Path root;
  private long entries;
  private long files;
  private long bytes;

  DemoData(Path root) {
    this.root = root;
  }

  /** Everything that was copied, directories and links among it. */
  long entries() {
    return entries;
  }

  long files() {
    return files;
  }

  long bytes() {
    return bytes;
  }

  /** Copies until there is enough, and never more than {@code limit} bytes; gives the bundles. */
  List<String> make(long limit) throws IOException {
    Map<String, List<Path>> wanted = new LinkedHashMap<>();
    wanted.put("documents", List.of(Path.of("/usr/share/doc")));
    wanted.put("headers", List.of(Path.of("/usr/include")));
    wanted.put("jdk", List.of(Path.of(System.getProperty("java.home")).toRealPath()));
    wanted.put("shared", children(Path.of("/usr/share"), "doc"));
    wanted.put("libraries", children(Path.of("/usr/lib"), "jvm"));
    List<String> bundles = new ArrayList<>();
    for (Map.Entry<String, List<Path>> bundle : wanted.entrySet()) {
      if (fill(bundle.getKey(), bundle.getValue(), bundles.size() < 3, limit)) {
        bundles.add(bundle.getKey());
      }
    }
    return bundles;
  }

  private boolean fill(String bundle, List<Path> sources, boolean needed, long limit)
      throws IOException {
    boolean filled = false;
    for (Path source : sources) {
      boolean enough = files >= ENOUGH_FILES && bytes >= ENOUGH_BYTES;
      if ((enough && (!needed || filled)) || !Files.isDirectory(source)) {
        continue;
      }
      Trees.Sum sum = Trees.sum(source);
      if (bytes + sum.bytes() > limit || sum.files() == 0) {
        continue;
      }
      Path target = Files.createDirectories(root.resolve("data").resolve(bundle));
      copy(source, target);
      Trees.Sum copied = Trees.sum(target.resolve(source.getFileName().toString()));
      entries += copied.entries();
      files += copied.files();
      bytes += copied.bytes();
      filled = true;
    }
    return filled;
  }

  private static List<Path> children(Path directory, String without) throws IOException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> found = Files.list(directory)) {
      return found
          .filter(child -> Files.isDirectory(child, LinkOption.NOFOLLOW_LINKS))
          .filter(child -> !child.getFileName().toString().equals(without))
          .sorted()
          .toList();
    }
  }

  /** Copies with owner, mode and times; what this user may not read is left out. */
  private static void copy(Path source, Path target) throws IOException {
    Process copy =
        new ProcessBuilder("cp", "-a", "--", source.toString(), target.toString())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      copy.waitFor();
    } catch (InterruptedException e) {
      copy.destroy();
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("Interrupted while copying \"" + source + "\"");
    }
  }
}
