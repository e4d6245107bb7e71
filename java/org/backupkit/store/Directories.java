package org.backupkit.store;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What the store does with directories as a whole. */
final class Directories {
  private Directories() {}

  /** The snapshots in a bundle's directory, the oldest first; none where there is no directory. */
  static List<Path> snapshots(Path home) throws IOException {
    if (!Files.isDirectory(home)) {
      return List.of();
    }
    return entries(home).stream()
        .filter(entry -> SnapshotId.isOne(entry.getFileName().toString()))
        .toList();
  }

  /** The newest of the snapshots in a bundle's directory, or null. */
  static @Nullable Path newest(Path home) throws IOException {
    List<Path> found = snapshots(home);
    return found.isEmpty() ? null : found.get(found.size() - 1);
  }

  /** Whether a prune has removed a snapshot since it was seen. */
  static boolean wasRemoved(Path snapshot) {
    return Files.notExists(snapshot) && Files.isDirectory(snapshot.getParent());
  }

  /** The entries of a directory whose names begin so, sorted; none where there is no directory. */
  static List<Path> startingWith(Path home, String prefix) throws IOException {
    if (!Files.isDirectory(home, LinkOption.NOFOLLOW_LINKS)) {
      return List.of();
    }
    return entries(home).stream()
        .filter(entry -> entry.getFileName().toString().startsWith(prefix))
        .toList();
  }

  /** The entries of a directory, sorted by name. */
  static List<Path> entries(Path directory) throws IOException {
    try (Stream<Path> found = Files.list(directory)) {
      return found.sorted().toList();
    }
  }

  /** Removes what is at a path, with all in it. */
  static void removeAny(Path path) throws IOException {
    if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
      remove(path);
    } else {
      Files.deleteIfExists(path);
    }
  }

  /** Removes a directory and all in it, without following links; nothing there is no failure. */
  static void remove(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      return;
    }
    Files.walkFileTree(
        directory,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path left, IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(left);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  /** Makes the names in a directory durable: Linux syncs a directory that was opened to read. */
  static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
