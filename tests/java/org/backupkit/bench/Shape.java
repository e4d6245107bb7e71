package org.backupkit.bench;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/** What an app's data look like. They are the same each time: the chance has a seed. */
enum Shape {
  /** Files of 1 to 16 KiB, fifty in a directory. */
  SMALL {
    @Override
    void fill(Path top, int files) throws IOException {
      Random random = new Random(1);
      Path directory = top;
      for (int i = 0; i < files; i++) {
        if (i % 50 == 0) {
          directory = Files.createDirectory(top.resolve("d" + i / 50));
        }
        write(directory.resolve("file" + i), KIB + random.nextInt(15 * KIB + 1), random);
      }
    }
  },

  /** One file of 1 GiB. */
  BIG {
    @Override
    void fill(Path top, int files) throws IOException {
      write(top.resolve("big"), KIB * MIB, new Random(1));
    }
  },

  /**
   * Files of 200 bytes to 50 MB, a fifth as many as small ones, whose sizes have a log-normal
   * distribution: most are small, and a few have most of the bytes.
   */
  MIXED {
    @Override
    void fill(Path top, int files) throws IOException {
      Random random = new Random(1);
      int directories = Math.max(1, files / 500);
      for (int i = 0; i < directories; i++) {
        Files.createDirectory(top.resolve("d" + i));
      }
      for (int i = 0; i < files / 5; i++) {
        Path directory = top.resolve("d" + random.nextInt(directories));
        write(directory.resolve("file" + i), mixedSize(random), random);
      }
    }
  },

  /** Chains of a hundred directories, one in the other, with a file of up to 1 KiB in each. */
  DEEP {
    @Override
    void fill(Path top, int files) throws IOException {
      Random random = new Random(1);
      Path directory = top;
      for (int i = 0; i < files / 5; i++) {
        directory = i % 100 == 0 ? top.resolve("chain" + i / 100) : directory.resolve("d");
        Files.createDirectory(directory);
        write(directory.resolve("file"), random.nextInt(KIB + 1), random);
      }
    }
  },

  /** Files of up to 1 KiB, all in one directory. */
  WIDE {
    @Override
    void fill(Path top, int files) throws IOException {
      Random random = new Random(1);
      Path directory = Files.createDirectory(top.resolve("all"));
      for (int i = 0; i < files; i++) {
        write(directory.resolve("file" + i), random.nextInt(KIB + 1), random);
      }
    }
  };

  private static final int KIB = 1024;
  private static final int MIB = KIB * KIB;

  /** Makes them in a directory that is empty; where they are small, so many. */
  abstract void fill(Path top, int files) throws IOException;

  // One that is out of bounds is drawn anew.
  private static int mixedSize(Random random) {
    while (true) {
      double size = 2 * KIB * Math.exp(2.3 * random.nextGaussian());
      if (size >= 200 && size <= 50e6) {
        return (int) size;
      }
    }
  }

  private static void write(Path file, int size, Random random) throws IOException {
    byte[] content = new byte[Math.min(size, MIB)];
    try (OutputStream out = Files.newOutputStream(file)) {
      for (int left = size; left > 0; left -= MIB) {
        random.nextBytes(content);
        out.write(content, 0, Math.min(left, MIB));
      }
    }
  }
}
