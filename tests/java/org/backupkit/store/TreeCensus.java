package org.backupkit.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.UserDefinedFileAttributeView;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * What Java itself sees of a tree, a line for each entry: fast enough for thousands of trees. It
 * sees neither holes nor attributes but the users' own.
 */
public final class TreeCensus {
  private static final int TYPE = 0170000;
  private static final int DIRECTORY = 0040000;
  private static final int FILE = 0100000;

  private final Map<Object, String> firstNames = new HashMap<>();

  private TreeCensus() {}

  /** The line of each entry, by path. */
  public static Map<String, String> of(Path top) throws IOException {
    TreeCensus census = new TreeCensus();
    Map<String, String> lines = new TreeMap<>();
    try (Stream<Path> walk = Files.walk(top)) {
      for (Path entry : walk.sorted().toList()) {
        String path = top.relativize(entry).toString();
        if (!path.equals(".backup") && !path.startsWith(".backup/")) {
          lines.put(path, census.line(entry, path));
        }
      }
    }
    return lines;
  }

  /** What the one has and the other has not, one line each. */
  public static List<String> differences(Map<String, String> expected, Map<String, String> actual) {
    List<String> lines = new ArrayList<>();
    Set<String> paths = new TreeSet<>(expected.keySet());
    paths.addAll(actual.keySet());
    for (String path : paths) {
      String wanted = expected.get(path);
      String found = actual.get(path);
      if (!Objects.equals(wanted, found)) {
        lines.add("\"" + path + "\" was " + wanted + " and is " + found);
      }
    }
    return lines;
  }

  private String line(Path entry, String path) throws IOException {
    Map<String, Object> status = Files.readAttributes(entry, "unix:*", LinkOption.NOFOLLOW_LINKS);
    int mode = (int) status.get("mode");
    int type = mode & TYPE;
    FileTime time = (FileTime) status.get("lastModifiedTime");
    StringBuilder line = new StringBuilder(Integer.toOctalString(mode));
    line.append(" owner ").append(status.get("uid")).append(':').append(status.get("gid"));
    line.append(" time ").append(time.toInstant());
    if (type == FILE) {
      line.append(" size ").append(status.get("size")).append(" content ").append(digest(entry));
    } else if (Files.isSymbolicLink(entry)) {
      line.append(" to ").append(Files.readSymbolicLink(entry));
    } else if (type != DIRECTORY) {
      line.append(" device ").append(status.get("rdev"));
    }
    if (type != DIRECTORY) {
      line.append(" names ").append(status.get("nlink"));
      line.append(" first ").append(firstName(status.get("ino"), path));
    }
    if (type == FILE || type == DIRECTORY) {
      line.append(attributes(entry));
    }
    return line.toString();
  }

  private String firstName(Object inode, String path) {
    return firstNames.computeIfAbsent(inode, none -> path);
  }

  private static String digest(Path file) throws IOException {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
      return HexFormat.of().formatHex(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String attributes(Path entry) throws IOException {
    UserDefinedFileAttributeView view =
        Files.getFileAttributeView(
            entry, UserDefinedFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
    StringBuilder text = new StringBuilder();
    for (String name : view.list().stream().sorted().toList()) {
      ByteBuffer value = ByteBuffer.allocate(view.size(name));
      view.read(name, value);
      text.append(" user.").append(name).append('=');
      text.append(HexFormat.of().formatHex(value.array()));
    }
    return text.toString();
  }
}
