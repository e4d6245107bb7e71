package org.backupkit.store;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.backupkit.Fd;
import org.backupkit.internal.Bridge;

/** The hash that indexes, manifests and descriptions have. */
final class Hashes {
  /** How each begins; 32 digits follow. */
  static final String PREFIX = "xxh3:";

  private Hashes() {}

  /** The hash of a whole file. */
  static String of(Path file) throws IOException {
    try (Fd fd = Fd.open(file, StandardOpenOption.READ)) {
      return of(fd, 0, fd.size());
    }
  }

  /** The hash of a range of a file; fails where the file is shorter. */
  static String of(Fd file, long offset, long length) throws IOException {
    return new String(Bridge.hash(file.number(), offset, length), StandardCharsets.US_ASCII);
  }
}
