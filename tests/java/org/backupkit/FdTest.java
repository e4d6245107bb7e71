package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FdTest {
  private static final int O_CLOEXEC = 02000000;

  @TempDir Path directory;

  @Test
  void closeTwiceClosesOnce() throws IOException {
    Fd fd = Fd.open(file("a", "text"));
    int number = fd.number();
    fd.close();
    assertFalse(Files.exists(entry(number), LinkOption.NOFOLLOW_LINKS));
    try (Fd next = Fd.open(directory.resolve("a"))) {
      fd.close();
      assertTrue(Files.exists(entry(next.number()), LinkOption.NOFOLLOW_LINKS));
    }
    assertFalse(fd.isOpen());
    assertThrows(IllegalStateException.class, fd::number);
    assertThrows(IllegalStateException.class, fd::size);
    assertThrows(IllegalStateException.class, fd::detach);
  }

  @Test
  void detachGivesTheNumberAway() throws IOException {
    Fd fd = Fd.open(file("a", "text"));
    int number = fd.detach();
    fd.close();
    assertThrows(IllegalStateException.class, fd::number);
    try (Fd again = Fd.adopt(number)) {
      assertEquals(4, again.size());
    }
  }

  @Test
  void adoptRefusesANegativeNumber() {
    assertThrows(IllegalArgumentException.class, () -> Fd.adopt(-1));
  }

  @Test
  void everyDescriptorIsCloseOnExec() throws IOException {
    try (Fd fd = Fd.open(file("a", "text"));
        FileInputStream in = fd.newInputStream()) {
      assertNotEquals(0, flags(fd.number()) & O_CLOEXEC);
      for (Path other : openDescriptors()) {
        // The listing's own descriptor is gone by now.
        if (Files.isSymbolicLink(other)
            && Files.readSymbolicLink(other).equals(directory.resolve("a").toRealPath())) {
          int number = Integer.parseInt(other.getFileName().toString());
          assertNotEquals(0, flags(number) & O_CLOEXEC);
        }
      }
      assertEquals('t', in.read());
    }
  }

  @Test
  void transferCountsOffsetsPast4GiB() throws IOException {
    Path source = directory.resolve("big");
    long size = (4L << 30) + 12_345;
    try (FileChannel out =
        FileChannel.open(
            source,
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.WRITE,
            StandardOpenOption.SPARSE)) {
      out.write(ByteBuffer.wrap("end".getBytes(StandardCharsets.UTF_8)), size - 3);
    }
    // Only what lies across 4 GiB: reading the whole hole takes 20 s.
    Path target = directory.resolve("copy");
    long start = (4L << 30) - 4096;
    try (Fd in = Fd.open(source);
        Fd out = create("copy");
        SeekableByteChannel from = in.newByteChannel();
        SeekableByteChannel to = out.newByteChannel()) {
      assertEquals(size, in.size());
      from.position(start);
      to.position(start);
      assertEquals(size - start, in.transferTo(out));
      assertEquals(size, from.position());
      assertEquals(size, to.position());
    }
    assertEquals(size, Files.size(target));
    try (FileChannel copy = FileChannel.open(target)) {
      assertEquals("end", text(copy, size - 3, 3));
    }
  }

  @Test
  void transferStartsAtThePositionAndMovesIt() throws IOException {
    try (Fd in = Fd.open(file("a", "0123456789"));
        Fd out = create("b")) {
      try (FileInputStream stream = in.newInputStream()) {
        assertEquals(4, stream.skip(4));
      }
      assertEquals(6, in.transferTo(out));
      assertEquals(0, in.transferTo(out));
      assertEquals("456789", new String(out.readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  @Test
  void transferReadsAPipe() throws Exception {
    Path fifo = directory.resolve("fifo");
    assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    Thread writer =
        new Thread(
            () -> {
              try (Fd out = Fd.open(fifo, StandardOpenOption.WRITE)) {
                assertEquals(14, out.copyFrom(file("a", "through a pipe")));
              } catch (IOException e) {
                throw new IllegalStateException(e);
              }
            });
    writer.start();
    try (Fd in = Fd.open(fifo);
        Fd out = create("b")) {
      assertEquals(14, in.transferTo(out));
    }
    writer.join();
    assertEquals("through a pipe", Files.readString(directory.resolve("b")));
  }

  @Test
  void readAllBytesLeavesThePosition() throws IOException {
    try (Fd fd = Fd.open(file("a", "0123456789"));
        SeekableByteChannel channel = fd.newByteChannel()) {
      channel.position(7);
      assertEquals("0123456789", new String(fd.readAllBytes(), StandardCharsets.UTF_8));
      assertEquals(7, channel.position());
    }
  }

  @Test
  void streamsAndChannelsOutliveTheFd() throws IOException {
    Fd fd = create("a");
    FileOutputStream out = fd.newOutputStream();
    SeekableByteChannel channel = fd.newByteChannel();
    fd.close();
    out.write("abc".getBytes(StandardCharsets.UTF_8));
    out.close();
    channel.position(1);
    channel.write(ByteBuffer.wrap(new byte[] {'X'}));
    channel.position(0);
    ByteBuffer read = ByteBuffer.allocate(8);
    assertEquals(3, channel.read(read));
    channel.truncate(2);
    assertEquals(2, channel.size());
    channel.close();
    channel.close();
    assertFalse(channel.isOpen());
    assertArrayEquals(new byte[] {'a', 'X'}, Files.readAllBytes(directory.resolve("a")));
  }

  @Test
  void openTakesOptionsAsFilesDoes() throws IOException {
    Path path = file("a", "old");
    assertThrows(
        BackupException.class,
        () -> Fd.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
    assertThrows(
        UnsupportedOperationException.class,
        () -> Fd.open(path, StandardOpenOption.DELETE_ON_CLOSE));
    assertThrows(
        IllegalArgumentException.class,
        () -> Fd.open(path, StandardOpenOption.APPEND, StandardOpenOption.READ));
    try (Fd fd = Fd.open(path, StandardOpenOption.APPEND)) {
      fd.copyFrom(file("b", "new"));
    }
    assertEquals("oldnew", Files.readString(path));
    BackupException missing =
        assertThrows(BackupException.class, () -> Fd.open(directory.resolve("missing")));
    assertSame(ErrorCode.INVALID_ARGUMENT, missing.error());
    assertTrue(missing.getMessage().contains("ENOENT"), missing.getMessage());
  }

  @Test
  void everyOpenerClosesWhatItOpened() throws IOException {
    Path path = file("a", "text");
    try (Fd warm = Fd.open(path)) {
      warm.copyTo(directory.resolve("b"));
    }
    int before = openDescriptors().size();
    for (int i = 0; i < 50; i++) {
      try (Fd fd = Fd.open(path)) {
        fd.copyTo(directory.resolve("b"));
        fd.newInputStream().close();
        fd.newByteChannel().close();
      }
    }
    assertEquals(before, openDescriptors().size());
  }

  private Path file(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  private Fd create(String name) throws IOException {
    return Fd.open(
        directory.resolve(name),
        StandardOpenOption.CREATE,
        StandardOpenOption.READ,
        StandardOpenOption.WRITE);
  }

  private static Path entry(int number) {
    return Path.of("/proc/self/fd", String.valueOf(number));
  }

  private static List<Path> openDescriptors() throws IOException {
    try (var entries = Files.list(Path.of("/proc/self/fd"))) {
      return entries.filter(entry -> Files.exists(entry, LinkOption.NOFOLLOW_LINKS)).toList();
    }
  }

  private static int flags(int number) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/fdinfo", String.valueOf(number)))) {
      if (line.startsWith("flags:")) {
        return Integer.parseInt(line.substring(6).strip(), 8);
      }
    }
    throw new IOException("no flags");
  }

  private static String text(FileChannel channel, long offset, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    channel.read(bytes, offset);
    return new String(bytes.array(), StandardCharsets.UTF_8);
  }
}
