package org.backupkit.store;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * One header of a part as the service writes it (native/archive/tar_header.h), with the records of
 * the extended header before it. Texts have a character for each byte.
 */
final class PartHeader {
  static final int BLOCK = 512;
  private static final Set<String> TYPES = Set.of("f0", "h1", "l2", "c3", "b4", "d5", "p6");
  private static final Set<String> KNOWN =
      Set.of(
          "path",
          "linkpath",
          "size",
          "uid",
          "gid",
          "mtime",
          "GNU.sparse.name",
          "GNU.sparse.realsize");
  // These are the same in every header that has them.
  private static final Map<String, String> FIXED =
      Map.of("hdrcharset", "BINARY", "GNU.sparse.major", "1", "GNU.sparse.minor", "0");
  private static final int CHECKSUM = 148;
  private static final int CHECKSUM_LENGTH = 8;

  private final byte[] block;
  private final Map<String, String> records;

  private PartHeader(byte[] block, Map<String, String> records) {
    this.block = block;
    this.records = records;
  }

  /**
   * Takes a block.
   *
   * @throws IOException when a byte of it is another than was written
   */
  static PartHeader of(byte[] block, Map<String, String> records) throws IOException {
    int sum = 0;
    for (int i = 0; i < BLOCK; i++) {
      boolean own = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_LENGTH;
      sum += own ? ' ' : Byte.toUnsignedInt(block[i]);
    }
    PartHeader header = new PartHeader(block, records);
    if (!header.raw(CHECKSUM, CHECKSUM_LENGTH).equals(String.format("%06o\0 ", sum))) {
      throw new IOException("its header has another checksum");
    }
    return header;
  }

  /** Reads the content of an extended header. */
  static Map<String, String> records(byte[] content) throws IOException {
    Map<String, String> records = new TreeMap<>();
    String text = new String(content, StandardCharsets.ISO_8859_1);
    int at = 0;
    while (at < text.length()) {
      int space = text.indexOf(' ', at);
      int equals = text.indexOf('=', at);
      int end = at + length(space < 0 ? "" : text.substring(at, space));
      if (equals < space || end <= equals || end > text.length() || text.charAt(end - 1) != '\n') {
        throw new IOException("its extended header is not made of records");
      }
      records.put(text.substring(space + 1, equals), text.substring(equals + 1, end - 1));
      at = end;
    }
    return records;
  }

  private static int length(String digits) throws IOException {
    if (!digits.matches("[1-9][0-9]{0,7}")) {
      throw new IOException("its extended header is not made of records");
    }
    return Integer.parseInt(digits);
  }

  /** Whether this is an extended header, whose content is the records of the next one. */
  boolean isExtended() {
    return block[156] == 'x';
  }

  /** The bytes that follow, without what fills the last block. */
  long stored() throws IOException {
    return records.containsKey("size") ? number("size") : octal(124, 12);
  }

  String path() {
    String prefix = field(345, 155);
    String path =
        records.getOrDefault(
            "GNU.sparse.name",
            records.getOrDefault(
                "path", prefix.isEmpty() ? field(0, 100) : prefix + "/" + field(0, 100)));
    return path.length() > 1 && path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
  }

  boolean hasHoles() {
    return records.containsKey("GNU.sparse.realsize");
  }

  /** The size of a file with holes. */
  long realSize() throws IOException {
    return number("GNU.sparse.realsize");
  }

  /** Its extended attributes. */
  PartAttributes attributes() throws IOException {
    return new PartAttributes(records);
  }

  /** What attribute is not as the row has it; "" where all are. */
  String attributeNotOf(Manifest.Row row) throws IOException {
    if (octal(100, 8) != (row.mode() & 07777)) {
      return "its mode";
    }
    if (!owner("uid", 108).equals(row.uid()) || !owner("gid", 116).equals(row.gid())) {
      return "its owner";
    }
    return nanoseconds().equals(row.mtimeNs()) ? "" : "its time";
  }

  /** What else of the header is not as the row has it; "" where all is. */
  String differsFrom(Manifest.Row row) throws IOException {
    if (!TYPES.contains(row.type() + (char) block[156])) {
      return "its type";
    }
    String target = records.getOrDefault("linkpath", field(157, 100));
    if (!target.equals(row.target())) {
      return "where it leads to";
    }
    if (row.type().equals("f") && size() != row.size()) {
      return "its size";
    }
    return records.entrySet().stream().allMatch(PartHeader::isWritten) ? "" : "its extended header";
  }

  /** Whether the service writes such a record. */
  private static boolean isWritten(Map.Entry<String, String> record) {
    String key = record.getKey();
    return KNOWN.contains(key)
        || PartAttributes.isKey(key)
        || record.getValue().equals(FIXED.get(key));
  }

  private long size() throws IOException {
    return hasHoles() ? realSize() : stored();
  }

  private String owner(String key, int offset) throws IOException {
    return records.containsKey(key) ? records.get(key) : String.valueOf(octal(offset, 8));
  }

  private String nanoseconds() throws IOException {
    String seconds = records.getOrDefault("mtime", String.valueOf(octal(136, 12)));
    if (!seconds.matches("-?[0-9]{1,20}(\\.[0-9]{1,9})?")) {
      throw new IOException("its time is no number");
    }
    return new BigDecimal(seconds).movePointRight(9).toBigInteger().toString();
  }

  private long number(String key) throws IOException {
    return unsigned(records.getOrDefault(key, ""), 10, "its " + key + " is no number");
  }

  private long octal(int offset, int length) throws IOException {
    return unsigned(field(offset, length), 8, "its header has a number that is none");
  }

  private static long unsigned(String digits, int radix, String otherwise) throws IOException {
    try {
      if (digits.matches("[0-9]+")) {
        return Long.parseLong(digits, radix);
      }
    } catch (NumberFormatException e) {
      throw new IOException(otherwise, e);
    }
    throw new IOException(otherwise);
  }

  private String field(int offset, int length) {
    String all = raw(offset, length);
    int end = all.indexOf('\0');
    return end < 0 ? all : all.substring(0, end);
  }

  private String raw(int offset, int length) {
    return new String(block, offset, length, StandardCharsets.ISO_8859_1);
  }
}
