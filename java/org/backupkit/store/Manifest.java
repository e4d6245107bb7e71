package org.backupkit.store;

import java.io.BufferedWriter;
import java.io.Closeable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.backupkit.Fd;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a manifest of version 2 (native/manifest/manifest.h), by path, in their order. Names
 * are bytes: a text has a character for each of them, and {@link #readable} makes it one for
 * people.
 */
final class Manifest {
  private static final String HEAD =
      """
      version=2.0&attrNum=18
      path;mode;dir;size;mtime;hash;isIncremental;encodeFlag;type;mtimeNs;ctimeNs;inode;uid;gid;in;\
      target;xattrs;holes
      """;
  // How the last line begins.
  static final String END = "end;";
  private static final int COLUMNS = 18;

  /** Stands in the last columns where an entry's extended attributes or holes are not known. */
  static final String UNKNOWN = "?";

  // Those that a manifest may have: the last columns have not always been there. A line lacks as
  // many as there are heads before its own.
  static final List<String> HEADS =
      List.of(
          HEAD,
          HEAD.replace("=18", "=17").replace(";holes", ""),
          HEAD.replace("=18", "=16").replace(";xattrs;holes", ""));

  private Manifest() {}

  /**
   * One row; the columns are as they stand in the line, which has 18, but path and target are
   * decoded. What is kept, an earlier run has stored: mode, owner and time may be others since.
   */
  record Row(
      String line,
      String path,
      int mode,
      long size,
      String hash,
      boolean isKept,
      String type,
      String mtimeNs,
      String uid,
      String gid,
      String in,
      String target,
      String xattrs,
      String holes) {

    /** Sorts as a walk meets the entries: a directory, what is in it, what comes after it. */
    String walkKey() {
      return path.equals(".") ? "" : path.replace('/', '\0');
    }

    private static Row of(String line) throws IOException {
      String[] columns = line.split(";", -1);
      if (columns.length != COLUMNS) {
        throw noRow(line, null);
      }
      try {
        return new Row(
            line,
            columns[7].equals("1") ? decoded(columns[0]) : columns[0],
            Integer.parseInt(columns[1]),
            Long.parseLong(columns[3]),
            columns[5],
            columns[6].equals("0"),
            columns[8],
            columns[9],
            columns[12],
            columns[13],
            columns[14],
            decoded(columns[15]),
            columns[16],
            columns[17]);
      } catch (NumberFormatException e) {
        throw noRow(line, e);
      }
    }
  }

  /** Takes one row after another. */
  @FunctionalInterface
  interface Taker {
    void take(Row row) throws IOException;
  }

  /**
   * Reads a manifest. That all of it is right is known when this has returned.
   *
   * @throws IOException when it is torn, damaged, none of version 2, or not all of the file
   */
  static void each(Path file, Taker taker) throws IOException {
    try (ManifestLines lines = new ManifestLines(file)) {
      while (lines.next()) {
        taker.take(Row.of(lines.text()));
      }
    }
  }

  /**
   * The files that a whole manifest names in its column {@code in}, each with the first row that
   * does. Many times as fast as {@link #each}: of the other rows, no other column is looked at.
   *
   * @throws IOException when it is torn, damaged, none of version 2, or not all of the file
   */
  static Map<String, Row> files(Path manifest) throws IOException {
    Map<String, Row> files = new TreeMap<>();
    byte[] last = {};
    try (ManifestLines lines = new ManifestLines(manifest)) {
      while (lines.next()) {
        byte[] in = lines.in(last);
        if (in != last && in.length > 0) {
          String name = new String(in, StandardCharsets.ISO_8859_1);
          if (!files.containsKey(name)) {
            files.put(name, Row.of(lines.text()));
          }
        }
        last = in;
      }
    }
    return files;
  }

  /** Reads a whole manifest, by path. */
  static Map<String, Row> read(Path file) throws IOException {
    Map<String, Row> rows = new LinkedHashMap<>();
    each(
        file,
        row -> {
          if (rows.put(row.path(), row) != null) {
            throw new IOException("\"" + file + "\" has \"" + readable(row.path()) + "\" twice");
          }
        });
    return rows;
  }

  /** Writes a manifest of rows that come in walk order; only a finished one is whole. */
  static final class Writer implements Closeable {
    private final Path file;
    private final BufferedWriter out;
    private long rows;

    Writer(Path file) throws IOException {
      this.file = file;
      this.out = Files.newBufferedWriter(file, StandardCharsets.ISO_8859_1);
      out.write(HEAD);
    }

    void add(Row row) throws IOException {
      out.write(row.line());
      out.write('\n');
      rows++;
    }

    /** Writes the end, of what has come. */
    void finish() throws IOException {
      out.flush();
      out.write(trailer(file, Files.size(file), rows));
      out.write('\n');
    }

    @Override
    public void close() throws IOException {
      out.close();
    }
  }

  /** A name for people: UTF-8 where it is that. */
  static String readable(String bytes) {
    return new String(bytes.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
  }

  static IOException noRow(String line, @Nullable Throwable cause) {
    return new IOException("\"" + readable(line) + "\" is no row", cause);
  }

  /** The last line that a file has after so many bytes and rows. */
  static String trailer(Path file, long length, long rows) throws IOException {
    try (Fd fd = Fd.open(file, StandardOpenOption.READ)) {
      String hash = Hashes.of(fd, 0, length).substring(Hashes.PREFIX.length());
      return END + rows + ";" + hash;
    }
  }

  /** The bytes of a percent-encoded text. */
  static String decoded(String text) throws IOException {
    StringBuilder bytes = new StringBuilder(text.length());
    try {
      for (int i = 0; i < text.length(); i++) {
        if (text.charAt(i) == '%') {
          bytes.append((char) HexFormat.fromHexDigits(text, i + 1, i + 3));
          i += 2;
        } else {
          bytes.append(text.charAt(i));
        }
      }
    } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
      throw new IOException("\"" + readable(text) + "\" is not percent-encoded", e);
    }
    return bytes.toString();
  }
}
