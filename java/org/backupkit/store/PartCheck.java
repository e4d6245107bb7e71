package org.backupkit.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import org.backupkit.Fd;
import org.backupkit.store.Hashes.Piece;
import org.backupkit.store.Manifest.Row;
import org.jspecify.annotations.Nullable;

/**
 * Compares a part with the rows of its entries, to say which of them is damaged.
 *
 * <p>A part that an interrupted run has left may have replaced entries, which have no row in it,
 * and entries that have another mode, owner or time since; the rows of an earlier version do not
 * know the extended attributes. When entries with something that cannot be proved are alone left,
 * one of them it is.
 */
final class PartCheck {
  /** What is wrong with an entry; the entry is "" where it cannot be told. */
  record Finding(String entry, String what) {}

  private static final int MAX_RECORDS = 4 << 20;

  private final FileChannel channel;
  private final Fd file;
  private final Map<String, Row> rows;
  private final long replaced;
  private final List<String> order;
  private final Map<String, Integer> positions = new HashMap<>();
  private final List<Finding> findings = new ArrayList<>();
  private final List<String> unproven = new ArrayList<>();
  private final Set<String> met = new HashSet<>();
  private final Set<String> metTwice = new HashSet<>();
  private long unknown;
  private int next;
  private long at;

  private PartCheck(FileChannel channel, Fd file, Map<String, Row> rows, long replaced) {
    this.channel = channel;
    this.file = file;
    this.rows = rows;
    this.replaced = replaced;
    this.order = List.copyOf(rows.keySet());
    order.forEach(path -> positions.put(path, positions.size()));
  }

  /** Looks at a part whose entries, but for the replaced, have these rows in their order. */
  static PartCheck of(Path part, Map<String, Row> rows, long replaced) throws IOException {
    try (FileChannel channel = FileChannel.open(part, StandardOpenOption.READ);
        Fd file = Fd.open(part, StandardOpenOption.READ)) {
      PartCheck check = new PartCheck(channel, file, rows, replaced);
      check.run();
      return check;
    }
  }

  /** What is damaged; none: all that can be proved is whole. */
  List<Finding> findings() {
    return findings;
  }

  /** The paths of the entries that are more than their row says. */
  List<String> unproven() {
    return unproven;
  }

  private void run() throws IOException {
    try {
      while (entry()) {}
    } catch (IOException e) {
      // Behind a header that cannot be read, nothing can be found any more.
      find(unknown < replaced ? "" : expected(), String.valueOf(e.getMessage()));
      return;
    }
    List<String> missing = order.stream().filter(path -> !met.contains(path)).toList();
    if (!missing.isEmpty() && !metTwice.isEmpty()) {
      // One of the two has the other's name, and what was found is that they differ.
      findings.removeIf(found -> metTwice.contains(found.entry()));
      find(missing.get(0), "its name is another one");
    } else if (unknown > replaced) {
      missing.stream()
          .limit(unknown - replaced)
          .forEach(path -> find(path, "its name is another one"));
    } else if (!missing.isEmpty() && findings.isEmpty()) {
      find(missing.get(0), "it is missing");
    }
    if (unknown > 0) {
      unproven.clear(); // it may as well be one without a row
    }
  }

  /** Takes one entry with the extended header before it; false at the archive's end. */
  private boolean entry() throws IOException {
    byte[] block = read(PartHeader.BLOCK);
    if (isZero(block)) {
      if (!isZero(read(PartHeader.BLOCK)) || at != channel.size()) {
        findings.add(new Finding("", "the end of the archive is not as it was written"));
      }
      return false;
    }
    PartHeader header = PartHeader.of(block, new TreeMap<>());
    String flaw = "";
    if (header.isExtended()) {
      if (header.stored() > MAX_RECORDS) {
        throw new IOException("its extended header is too long");
      }
      byte[] records = read((int) header.stored());
      if (!isFilled(header.stored())) {
        flaw = "what follows its extended header is not empty";
      }
      header = PartHeader.of(read(PartHeader.BLOCK), PartHeader.records(records));
    }
    Row row = rows.get(header.path());
    if (row == null) {
      unknown++;
    } else {
      if (!met.add(row.path())) {
        metTwice.add(Manifest.readable(row.path()));
      }
    }
    content(header, row, flaw);
    return true;
  }

  private void content(PartHeader header, @Nullable Row row, String flaw) throws IOException {
    long stored = header.stored();
    if (stored > channel.size() - at) {
      throw new IOException("its size is past the end");
    }
    String what = flaw;
    if (row != null && what.isEmpty()) {
      what = difference(header, row);
    }
    at += stored;
    if (!isFilled(stored) && what.isEmpty()) {
      what = "what follows its content is not empty";
    }
    if (row != null) {
      next = Objects.requireNonNull(positions.get(row.path())) + 1;
      if (!what.isEmpty()) {
        find(row.path(), what);
      }
    }
  }

  /** What of an entry, of which the header was read, is not as its row has it; "" where all is. */
  private String difference(PartHeader header, Row row) throws IOException {
    String what = header.differsFrom(row);
    String attribute = header.attributeNotOf(row);
    if (what.isEmpty() && !row.isKept()) {
      what = attribute;
    }
    PartAttributes attributes = header.attributes();
    boolean isKnown = !row.xattrs().equals(Manifest.UNKNOWN);
    if (what.isEmpty() && isKnown && !attributes.digest().equals(digestOf(row))) {
      what = "its extended attributes";
    }
    if (what.isEmpty() && !attributes.haveTheirTexts()) {
      what = "the text of its ACL";
    }
    if (what.isEmpty() && row.type().equals("f") && !row.hash().isEmpty()) {
      what = contentNotOf(header, row);
    }
    if (what.isEmpty() && (!attribute.isEmpty() || !(isKnown || attributes.isEmpty()))) {
      unproven.add(row.path());
    }
    return what;
  }

  /** A further name has no attributes of its own in a part. */
  private static String digestOf(Row row) {
    return row.type().equals("h") ? "" : row.xattrs();
  }

  private String contentNotOf(PartHeader header, Row row) throws IOException {
    if (!header.hasHoles()) {
      return Hashes.of(file, at, header.stored()).equals(row.hash()) ? "" : "its content";
    }
    long begin = at;
    try {
      SparseMap map = SparseMap.read(() -> read(PartHeader.BLOCK));
      long stored = header.stored() - map.length();
      List<Piece> pieces = map.pieces(at, stored, header.realSize());
      return Hashes.of(file, pieces).equals(row.hash()) ? "" : "its content";
    } catch (IOException e) {
      return String.valueOf(e.getMessage());
    } finally {
      at = begin;
    }
  }

  private String expected() {
    return next < order.size() ? order.get(next) : "";
  }

  private void find(String path, String what) {
    findings.add(new Finding(Manifest.readable(path), what));
  }

  /** Whether the rest of the last block is zeros. */
  private boolean isFilled(long length) throws IOException {
    int rest = (int) ((PartHeader.BLOCK - length % PartHeader.BLOCK) % PartHeader.BLOCK);
    return isZero(read(rest));
  }

  private byte[] read(int count) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(count);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, at + buffer.position()) < 0) {
        throw new IOException("the part ends in it");
      }
    }
    at += count;
    return buffer.array();
  }

  private static boolean isZero(byte[] bytes) {
    for (byte one : bytes) {
      if (one != 0) {
        return false;
      }
    }
    return true;
  }
}
