package org.backupkit.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
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

  /** A range of a file, or as many zeros. */
  record Piece(long offset, long length) {
    private static final int BYTES = 2 * Long.BYTES;

    static Piece zeros(long length) {
      return new Piece(-1, length);
    }
  }

  /** The hash of a range of a file; fails where the file is shorter. */
  static String of(Fd file, long offset, long length) throws IOException {
    return of(file, List.of(new Piece(offset, length)));
  }

  /** The hash of pieces of a file, one behind the other; fails where the file is shorter. */
  static String of(Fd file, List<Piece> pieces) throws IOException {
    ByteBuffer numbers = ByteBuffer.allocate(pieces.size() * Piece.BYTES);
    numbers.order(ByteOrder.LITTLE_ENDIAN);
    pieces.forEach(piece -> numbers.putLong(piece.offset).putLong(piece.length));
    return text(Bridge.hash(file.number(), numbers.array()));
  }

  /** The hash of bytes. */
  static String of(byte[] bytes) {
    return text(Bridge.hashBytes(bytes));
  }

  private static String text(byte[] ascii) {
    return new String(ascii, StandardCharsets.US_ASCII);
  }
}
