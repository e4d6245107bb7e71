package org.backupkit.store;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The lines of a manifest's rows, one after another, as bytes: nothing is made of a line that was
 * not asked for. That all of it is right is known when {@link #next} has said that there is no
 * more.
 */
final class ManifestLines implements Closeable {
  private static final int BUFFER = 256 << 10; // a line has at most 64 KiB
  private static final int BEHIND_IN = 3; // columns
  private static final byte[] END = Manifest.END.getBytes(StandardCharsets.US_ASCII);

  // Bytes looked at eight at a time, which is twice as fast as one by one.
  private static final VarHandle EIGHT =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final long LINE_FEEDS = 0x0a0a0a0a0a0a0a0aL;
  private static final long LOWEST_BITS = 0x0101010101010101L;
  private static final long HIGHEST_BITS = 0x8080808080808080L;

  private final Path file;
  private final InputStream input;
  private final int lacking; // how many of the last columns
  private final byte[] bytes = new byte[BUFFER];
  private int filled;
  private long before; // how much of the file precedes the bytes
  private int from;
  private int to; // where the line's LF is
  private long rows;

  /**
   * Opens a manifest.
   *
   * @throws IOException when it is none of version 2
   */
  ManifestLines(Path file) throws IOException {
    this.file = file;
    input = Files.newInputStream(file);
    try {
      fill();
      String head = head();
      lacking = Manifest.HEADS.indexOf(head);
      to = head.length() - 1;
    } catch (IOException e) {
      input.close();
      throw e;
    }
  }

  /**
   * Goes to the first row's line, or the next one's.
   *
   * @return false when all have been there and the end is that of this file
   * @throws IOException when the manifest is torn, damaged, or not all of the file
   */
  boolean next() throws IOException {
    from = to + 1;
    to = lineFeed();
    if (to == filled) {
      fill();
      to = lineFeed();
    }
    if (to == filled) {
      throw torn();
    }
    if (isTrailer()) {
      checkEnd();
      return false;
    }
    rows++;
    return true;
  }

  /** The line with all columns. */
  String text() {
    return line() + (";" + Manifest.UNKNOWN).repeat(lacking);
  }

  /**
   * The bytes of the line's column {@code in}, or {@code last} where it has the same: most often it
   * is that of the line before. The columns before it are not looked at.
   *
   * @throws IOException when the line has too few columns
   */
  byte[] in(byte[] last) throws IOException {
    int end = to;
    for (int behind = BEHIND_IN - lacking; behind > 0; behind--) {
      end = separatorBefore(end);
    }
    int separator = separatorBefore(end);
    if (separator < from) {
      throw Manifest.noRow(line(), null);
    }
    return Arrays.equals(bytes, separator + 1, end, last, 0, last.length)
        ? last
        : Arrays.copyOfRange(bytes, separator + 1, end);
  }

  @Override
  public void close() throws IOException {
    input.close();
  }

  private String line() {
    return new String(bytes, from, to - from, StandardCharsets.ISO_8859_1);
  }

  private String head() throws IOException {
    for (String head : Manifest.HEADS) {
      int length = Math.min(head.length(), filled);
      if (head.equals(new String(bytes, 0, length, StandardCharsets.ISO_8859_1))) {
        return head;
      }
    }
    throw new IOException("\"" + file + "\" is no manifest of version 2");
  }

  /** Reads on, behind what there is of the line. */
  private void fill() throws IOException {
    System.arraycopy(bytes, from, bytes, 0, filled - from);
    before += from;
    filled -= from;
    from = 0;
    filled += input.readNBytes(bytes, filled, bytes.length - filled);
  }

  /** Where the line ends, or all that was read. */
  private int lineFeed() {
    int at = from;
    for (; at + Long.BYTES <= filled; at += Long.BYTES) {
      long zeros = (long) EIGHT.get(bytes, at) ^ LINE_FEEDS;
      // The lowest bit that is set is the highest one of the first byte that is zero.
      long found = (zeros - LOWEST_BITS) & ~zeros & HIGHEST_BITS;
      if (found != 0) {
        return at + Long.numberOfTrailingZeros(found) / Byte.SIZE;
      }
    }
    while (at < filled && bytes[at] != '\n') {
      at++;
    }
    return at;
  }

  /** The last separator of the line before there; what is less than its begin where none is. */
  private int separatorBefore(int end) {
    int at = end - 1;
    while (at >= from && bytes[at] != ';') {
      at--;
    }
    return at;
  }

  /** A row of a path {@code end} has more columns. */
  private boolean isTrailer() {
    return bytes[from] == END[0]
        && Arrays.equals(bytes, from, Math.min(from + END.length, to), END, 0, END.length)
        && line().chars().filter(one -> one == ';').count() == 2;
  }

  private void checkEnd() throws IOException {
    long length = before + from;
    boolean isLast = Files.size(file) == before + to + 1;
    if (!isLast || !line().equals(Manifest.trailer(file, length, rows))) {
      throw torn();
    }
  }

  private IOException torn() {
    return new IOException("The manifest \"" + file + "\" is torn or damaged");
  }
}
