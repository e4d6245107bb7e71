package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What is done to a directory and all that is in it, without following links. */
final class Trees {
  private Trees() {}

  /** What a tree has: all entries with the top, and the plain files among them. */
  record Sum(long entries, long files, long bytes) {}

  /** Counts; what cannot be read is not counted. */
  static Sum sum(Path top) throws IOException {
    long[] counts = new long[3];
    Files.walkFileTree(
        top,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
            counts[0]++;
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            counts[0]++;
            if (attributes.isRegularFile()) {
              counts[1]++;
              counts[2] += attributes.size();
            }
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path file, IOException failure) {
            return FileVisitResult.CONTINUE;
          }
        });
    return new Sum(counts[0], counts[1], counts[2]);
  }

  /**
   * Removes all; directories that forbid it are made writable first. Nothing there is no failure.
   */
  static void remove(Path top) throws IOException {
    if (!Files.exists(top, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    Files.walkFileTree(
        top,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes)
              throws IOException {
            Set<PosixFilePermission> mode = Files.getPosixFilePermissions(directory);
            if (!mode.contains(PosixFilePermission.OWNER_WRITE)) {
              Set<PosixFilePermission> open = EnumSet.copyOf(mode);
              open.add(PosixFilePermission.OWNER_WRITE);
              Files.setPosixFilePermissions(directory, open);
            }
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.deleteIfExists(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.deleteIfExists(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
