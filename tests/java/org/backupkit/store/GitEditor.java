package org.backupkit.store;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** Somebody who changes a tree as one does between two commits, by chance. */
final class GitEditor {
  private static final int MOST_CHANGES = 12;
  private static final int MOST_BYTES = 20_000;
  private static final String[] NAMES = {
    "a",
    "b.txt",
    "c d",
    "\u00e9t\u00e9",
    "semi;colon",
    "100%",
    "-dash",
    ".hidden",
    "deep/er/f",
    "lib/x"
  };

  private final Path desk;
  private final Random random;
  private int made;

  GitEditor(Path desk, Random random) {
    this.desk = desk;
    this.random = random;
  }

  /** Makes some changes, one of which is a new file. */
  void edit() throws IOException {
    write(fresh());
    for (int left = random.nextInt(MOST_CHANGES); left > 0; left--) {
      change();
    }
  }

  private void change() throws IOException {
    Path path = any();
    switch (random.nextInt(9)) {
      case 0, 1 -> write(fresh());
      case 2, 3 -> {
        if (!Files.isSymbolicLink(path)) {
          write(path);
        }
      }
      case 4 -> Files.move(path, fresh());
      case 5 -> {
        if (!Files.isSymbolicLink(path)) {
          String mode = Files.isExecutable(path) ? "rw-r--r--" : "rwxr-xr-x";
          Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(mode));
        }
      }
      case 6 -> Files.createSymbolicLink(fresh(), Path.of("to-" + random.nextInt(100)));
      case 7 -> Files.delete(path);
      default -> becomeOther(path);
    }
  }

  /** A file becomes a link, or a link a file, or either a directory. */
  private void becomeOther(Path path) throws IOException {
    boolean wasLink = Files.isSymbolicLink(path);
    Files.delete(path);
    if (random.nextBoolean()) {
      Files.createDirectory(path);
      write(path.resolve("inside"));
    } else if (wasLink) {
      write(path);
    } else {
      Files.createSymbolicLink(path, Path.of("to-" + random.nextInt(100)));
    }
  }

  private void write(Path file) throws IOException {
    byte[] content = new byte[random.nextInt(MOST_BYTES)];
    random.nextBytes(content);
    Files.write(file, content);
  }

  /** A path at which there was never anything, in a directory that is there. */
  private Path fresh() throws IOException {
    String name = NAMES[random.nextInt(NAMES.length)] + made++;
    Path path =
        desk.resolve(random.nextInt(4) == 0 ? "folder" + random.nextInt(5) : "").resolve(name);
    Files.createDirectories(path.getParent());
    return path;
  }

  /** Any file or link; a new file where there is none. */
  private Path any() throws IOException {
    try (Stream<Path> walk = Files.walk(desk)) {
      List<Path> found = walk.filter(path -> !isDirectory(path)).sorted().toList();
      if (!found.isEmpty()) {
        return found.get(random.nextInt(found.size()));
      }
    }
    Path only = fresh();
    write(only);
    return only;
  }

  private static boolean isDirectory(Path path) {
    return Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS);
  }
}
