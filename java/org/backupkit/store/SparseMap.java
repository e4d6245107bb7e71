package org.backupkit.store;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.backupkit.store.Hashes.Piece;

/**
 * The map before the data of a file with holes, as the service writes it (native/archive/sparse.h).
 */
final class SparseMap {
  private static final int MOST_PAIRS = 1_000_001;
  private static final int BLOCK = PartHeader.BLOCK;

  /** Gives one block after another. */
  @FunctionalInterface
  interface Blocks {
    byte[] next() throws IOException;
  }

  private final StringBuilder text = new StringBuilder();
  private final List<Long> numbers = new ArrayList<>();
  private int taken;

  private SparseMap() {}

  /**
   * Reads one.
   *
   * @throws IOException when a byte of it is another than was written
   */
  static SparseMap read(Blocks blocks) throws IOException {
    SparseMap map = new SparseMap();
    while (map.numbers.isEmpty() || map.numbers.size() <= 2 * map.numbers.get(0)) {
      map.take(blocks.next());
    }
    if (!map.text.substring(map.taken).chars().allMatch(one -> one == 0)) {
      throw broken();
    }
    return map;
  }

  /** The bytes of the map. */
  long length() {
    return text.length();
  }

  /**
   * What the file is, when its data begin at an offset of the archive.
   *
   * @throws IOException when the map does not fit a file of that size with so many bytes of data
   */
  List<Piece> pieces(long begin, long stored, long size) throws IOException {
    List<Piece> pieces = new ArrayList<>();
    long at = 0; // in the file
    long from = begin;
    for (int i = 1; i < numbers.size(); i += 2) {
      long offset = numbers.get(i);
      long length = numbers.get(i + 1);
      boolean isWhole = offset % BLOCK == 0 && (length % BLOCK == 0 || length == size - offset);
      boolean isEnd = length == 0 && offset == size && i + 2 == numbers.size();
      if (offset < at
          || offset > size
          || length > size - offset
          || !(isEnd || (isWhole && length > 0))) {
        throw broken();
      }
      pieces.add(Piece.zeros(offset - at));
      pieces.add(new Piece(from, length));
      at = offset + length;
      from += length;
    }
    if (at != size || from - begin != stored) {
      throw broken();
    }
    return pieces;
  }

  private void take(byte[] block) throws IOException {
    text.append(new String(block, StandardCharsets.ISO_8859_1));
    int end = text.indexOf("\n", taken);
    while (end >= 0 && (numbers.isEmpty() || numbers.size() <= 2 * numbers.get(0))) {
      String number = text.substring(taken, end);
      if (!number.matches("0|[1-9][0-9]{0,17}")) {
        throw broken();
      }
      numbers.add(Long.valueOf(number));
      taken = end + 1;
      end = text.indexOf("\n", taken);
    }
    if (!numbers.isEmpty() && numbers.get(0) > MOST_PAIRS || text.length() - taken > BLOCK) {
      throw broken();
    }
  }

  private static IOException broken() {
    return new IOException("its map of holes");
  }
}
