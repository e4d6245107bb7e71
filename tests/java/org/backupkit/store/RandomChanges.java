package org.backupkit.store;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.UserDefinedFileAttributeView;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.backupkit.Device;
import org.backupkit.Tool;

/** Changes a tree in whatever way an app may, by chance. */
public final class RandomChanges {
  private static final int MOST_ENTRIES = 60;
  private static final int MOST_BYTES = 12_000;
  private static final byte[] SQLITE = "SQLite format 3\0".getBytes(StandardCharsets.US_ASCII);
  private static final String[] NAMES = {
    "a",
    "b",
    "c.txt",
    "n.db",
    "n.db-wal",
    "n.db-journal",
    "\u00e9",
    "semi;100%",
    "new\nline",
    " ",
    "-x"
  };
  private static final int[] FILE_MODES = {0600, 0644, 0755, 0400, 04755, 02711, 0666, 0640};
  private static final int[] DIRECTORY_MODES = {0700, 0755, 01777, 02775, 0711};
  private static final long[] TIMES = {
    -100_000, -1, 0, 1, 1_000_000_000, 4_102_444_800L, 9_000_000_000L
  };

  private final Path top;
  private final Random random;
  private final boolean root = Device.isRoot();
  private final boolean attributes;
  private final List<String> done = new ArrayList<>();
  private long count;

  private interface Change {
    void apply(Path path) throws Exception;
  }

  public RandomChanges(Path top, Random random) throws IOException {
    this.top = top;
    this.random = random;
    this.attributes = takesAttributes();
  }

  /** What was done since the last call. */
  List<String> takeLog() {
    List<String> log = List.copyOf(done);
    done.clear();
    return log;
  }

  /** How many changes were made. */
  long count() {
    return count;
  }

  /** Makes one. */
  public void change() throws Exception {
    List<Path> all = entries();
    switch (all.size() > MOST_ENTRIES ? 7 : random.nextInt(21)) {
      case 0 -> on("create", fresh(), this::write);
      case 1 -> on("make", fresh(), this::make);
      case 2 -> onFile("append to", this::append);
      case 3, 4 -> onFile("rewrite, keeping the time of,", this::rewriteKeepingTime);
      case 5 -> onFile("truncate", this::truncate);
      case 6 -> rename();
      case 7 -> onAny("delete", this::delete);
      case 8 -> link();
      case 9, 10 -> onAny("chmod", this::changeMode);
      case 11, 12 -> onFileOrDirectory("setxattr of", this::setAttribute);
      case 13 -> onAny("recreate", this::recreate);
      case 14 -> onAny("change the type of", this::changeType);
      case 15, 16 -> onAny("set the time of", this::setTime);
      case 17 -> onFileOrDirectory("chown or setfacl", root ? this::changeOwner : this::setAcl);
      case 19 -> onFile("punch a hole into", this::punch);
      case 18 -> onFileOrDirectory("setfacl", this::setAcl);
      default -> swap();
    }
  }

  private void on(String what, Path path, Change change) throws Exception {
    done.add(what + " \"" + top.relativize(path) + "\"");
    count++;
    change.apply(path);
  }

  private void onAny(String what, Change change) throws Exception {
    onOne(what, entries(), change);
  }

  private void onFile(String what, Change change) throws Exception {
    onOne(what, entries().stream().filter(this::isFile).toList(), change);
  }

  private void onFileOrDirectory(String what, Change change) throws Exception {
    onOne(
        what,
        entries().stream().filter(path -> isFile(path) || isDirectory(path)).toList(),
        change);
  }

  private void onOne(String what, List<Path> paths, Change change) throws Exception {
    if (!paths.isEmpty()) {
      on(what, paths.get(random.nextInt(paths.size())), change);
    }
  }

  private void write(Path file) throws IOException {
    byte[] content = new byte[random.nextInt(4) == 0 ? 0 : random.nextInt(MOST_BYTES)];
    random.nextBytes(content);
    if (content.length > SQLITE.length && random.nextInt(4) == 0) {
      System.arraycopy(SQLITE, 0, content, 0, SQLITE.length);
    }
    Files.write(file, content);
  }

  private void make(Path path) throws Exception {
    switch (random.nextInt(4)) {
      case 0, 1 -> Files.createDirectory(path);
      case 2 -> Files.createSymbolicLink(path, Path.of("to", NAMES[random.nextInt(NAMES.length)]));
      default -> Tool.succeed("mkfifo", "--", path.toString());
    }
  }

  private void append(Path file) throws IOException {
    Files.write(file, bytes(random.nextInt(MOST_BYTES)), StandardOpenOption.APPEND);
  }

  private void rewriteKeepingTime(Path file) throws IOException {
    FileTime time = Files.getLastModifiedTime(file);
    try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
      if (open.length() > 0) {
        open.seek(random.nextInt((int) open.length()));
        open.write(random.nextInt());
      }
    }
    Files.setLastModifiedTime(file, time);
  }

  /** A longer one ends in a hole. */
  private void truncate(Path file) throws IOException {
    try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
      open.setLength(random.nextInt(3 * MOST_BYTES));
    }
  }

  /** Where the file system can. The file's time is what it was, half of the times. */
  private void punch(Path file) throws Exception {
    FileTime time = Files.getLastModifiedTime(file);
    String begin = String.valueOf(4096 * random.nextInt(3));
    Tool.run(List.of("fallocate", "-p", "-o", begin, "-l", "4096", "--", file.toString()));
    if (random.nextBoolean()) {
      Files.setLastModifiedTime(file, time);
    }
  }

  private void rename() throws Exception {
    Path target = random.nextInt(3) == 0 ? anyFile() : fresh();
    onAny(
        "move to \"" + top.relativize(target) + "\"",
        path -> {
          if (!target.startsWith(path) && !(isDirectory(path) && isThere(target))) {
            Files.move(path, target, StandardCopyOption.ATOMIC_MOVE);
          }
        });
  }

  private void link() throws Exception {
    Path name = fresh();
    onOne(
        "link as \"" + top.relativize(name) + "\"",
        entries().stream().filter(path -> !isDirectory(path)).toList(),
        path -> Files.createLink(name, path));
  }

  private void swap() throws Exception {
    Path other = anyFile();
    onFile(
        "exchange with \"" + top.relativize(other) + "\"",
        path -> {
          if (isThere(other) && !other.equals(path)) {
            Path aside = top.resolve("aside");
            Files.move(path, aside);
            Files.move(other, path);
            Files.move(aside, other);
          }
        });
  }

  private void delete(Path path) throws IOException {
    if (isDirectory(path)) {
      Device.empty(path);
    }
    Files.delete(path);
  }

  /** With the same content and time now and then, so that the inode alone is another. */
  private void recreate(Path path) throws IOException {
    byte[] content = isFile(path) && random.nextBoolean() ? Files.readAllBytes(path) : bytes(50);
    FileTime time = Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS);
    delete(path);
    Files.write(path, content);
    if (random.nextBoolean()) {
      Files.setLastModifiedTime(path, time);
    }
  }

  private void changeType(Path path) throws Exception {
    boolean wasFile = isFile(path);
    delete(path);
    if (wasFile) {
      make(path);
    } else {
      write(path);
    }
  }

  private void changeMode(Path path) throws IOException {
    if (!Files.isSymbolicLink(path)) {
      int[] modes = isDirectory(path) ? DIRECTORY_MODES : FILE_MODES;
      int mode = modes[random.nextInt(modes.length)];
      // Nobody but root may write to what is not writable, and this goes on to.
      Files.setAttribute(path, "unix:mode", root ? mode : mode | 0600);
    }
  }

  private void changeOwner(Path path) throws IOException {
    Files.setAttribute(path, "unix:uid", random.nextInt(3));
    Files.setAttribute(path, "unix:gid", random.nextInt(3));
  }

  private void setAttribute(Path path) throws IOException {
    if (!attributes) {
      return;
    }
    UserDefinedFileAttributeView view =
        Files.getFileAttributeView(path, UserDefinedFileAttributeView.class);
    List<String> there = view.list();
    if (!there.isEmpty() && random.nextBoolean()) {
      view.delete(there.get(0));
    } else {
      view.write("n" + random.nextInt(3), ByteBuffer.wrap(bytes(random.nextInt(80))));
    }
  }

  private void setAcl(Path path) throws Exception {
    List<String> command = new ArrayList<>(List.of("setfacl"));
    if (random.nextInt(3) == 0) {
      command.add("-b");
    } else {
      command.addAll(List.of("-m", "u:" + (1000 + random.nextInt(3)) + ":r"));
    }
    command.addAll(List.of("--", path.toString()));
    if (Tool.run(command).status() != 0 && attributes) {
      throw new AssertionError(command + " failed");
    }
  }

  /** Far in the past or future, or a moment away from what it is. */
  private void setTime(Path path) throws Exception {
    Instant time = Files.getLastModifiedTime(path, LinkOption.NOFOLLOW_LINKS).toInstant();
    time =
        switch (random.nextInt(4)) {
          case 0 -> time.plusNanos(1);
          case 1 -> time.minusSeconds(random.nextInt(10_000));
          case 2 -> time.plusSeconds(random.nextInt(10_000));
          default ->
              Instant.ofEpochSecond(
                  TIMES[random.nextInt(TIMES.length)], random.nextInt(1_000_000_000));
        };
    if (isFile(path) || isDirectory(path)) {
      Files.setLastModifiedTime(path, FileTime.from(time));
    } else { // which Java would open
      Tool.succeed("touch", "-h", "-d", time.toString(), "--", path.toString());
    }
  }

  private byte[] bytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  /** A path at which nothing is, in a directory that is there. */
  private Path fresh() throws IOException {
    List<Path> folders = new ArrayList<>(entries().stream().filter(this::isDirectory).toList());
    folders.add(top);
    Path folder = folders.get(random.nextInt(folders.size()));
    String name = NAMES[random.nextInt(NAMES.length)];
    while (isThere(folder.resolve(name))) {
      name = random.nextInt(1000) + name;
    }
    return folder.resolve(name);
  }

  private Path anyFile() throws IOException {
    List<Path> files = entries().stream().filter(this::isFile).toList();
    return files.isEmpty() ? fresh() : files.get(random.nextInt(files.size()));
  }

  /** All but the top and what is the service's. */
  private List<Path> entries() throws IOException {
    try (Stream<Path> walk = Files.walk(top)) {
      return walk.filter(path -> !path.equals(top) && !path.startsWith(top.resolve(".backup")))
          .sorted()
          .toList();
    }
  }

  private boolean takesAttributes() throws IOException {
    try {
      Files.setAttribute(top, "user:probe", ByteBuffer.wrap(new byte[1]));
      Files.getFileAttributeView(top, UserDefinedFileAttributeView.class).delete("probe");
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private boolean isFile(Path path) {
    return Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS);
  }

  private boolean isDirectory(Path path) {
    return Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS);
  }

  private static boolean isThere(Path path) {
    return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
  }
}
