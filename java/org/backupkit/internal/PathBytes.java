package org.backupkit.internal;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.nio.file.ProviderMismatchException;

/** The bytes of a path as the kernel has them, whatever the locale. */
public final class PathBytes {
  private PathBytes() {}

  /**
   * Gives a path's bytes.
   *
   * @param path a path of the default file system
   * @return its absolute form's bytes
   */
  public static byte[] of(Path path) {
    if (!path.getFileSystem().equals(FileSystems.getDefault())) {
      throw new ProviderMismatchException();
    }
    // Path keeps the raw bytes to itself; only its URI shows them.
    byte[] escaped = path.toAbsolutePath().toUri().getRawPath().getBytes(StandardCharsets.US_ASCII);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(escaped.length);
    for (int i = 0; i < escaped.length; i++) {
      if (escaped[i] == '%') {
        bytes.write(Character.digit(escaped[i + 1], 16) << 4 | Character.digit(escaped[i + 2], 16));
        i += 2;
      } else {
        bytes.write(escaped[i]);
      }
    }
    return bytes.toByteArray();
  }
}
