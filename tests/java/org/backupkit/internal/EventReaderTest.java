package org.backupkit.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.junit.jupiter.api.Test;

class EventReaderTest {
  private final List<Integer> closed = new ArrayList<>();

  @Test
  void everyKindOfEventIsDecoded() throws BackupException {
    List<Event> events = EventReader.read(wholeBatch(), closed::add);

    assertEquals(8, events.size());
    Event.Reply reply = (Event.Reply) events.get(0);
    assertEquals(5, reply.request());
    assertNull(reply.error());
    assertEquals("wert", reply.value());
    assertArrayEquals(new int[] {40}, reply.fds());
    Event.FileReady file = (Event.FileReady) events.get(1);
    assertEquals(-2L, file.sequence());
    assertEquals("com.example.ä", file.bundle());
    assertEquals("part.0.tar", file.uri());
    assertArrayEquals(new int[] {41, 42}, file.fds());
    Event.FileReady failed = (Event.FileReady) events.get(2);
    BackupException error = failed.error();
    assertNotNull(error);
    assertSame(ErrorCode.NO_SPACE, error.error());
    assertEquals("com.example.b", error.bundleName());
    assertEquals("u", error.uri());
    assertEquals("No space left on device: while staging (ENOSPC)", error.getMessage());
    assertEquals(new Event.BundleBegin("a", null), events.get(3));
    BackupException end = ((Event.BundleEnd) events.get(4)).error();
    assertNotNull(end);
    assertEquals(13500004, end.code());
    assertEquals(new Event.AllEnd(null), events.get(5));
    assertEquals(new Event.ResultReport("a", "{}"), events.get(6));
    assertEquals(new Event.Process("a", "[]"), events.get(7));
    assertEquals(List.of(43, 44), closed);
  }

  @Test
  void anEmptyBatchHasNoEvents() throws BackupException {
    assertEquals(List.of(), EventReader.read(new byte[4], closed::add));
  }

  @Test
  void everyTruncationInsideAFrameIsRefusedAndClosesAll() {
    byte[] batch = wholeBatch();
    Set<Integer> borders = frameBorders(batch);
    for (int length = 0; length < batch.length; length++) {
      if (borders.contains(length)) {
        continue;
      }
      closed.clear();
      byte[] cut = Arrays.copyOf(batch, length);
      BackupException failure =
          assertThrows(BackupException.class, () -> EventReader.read(cut, closed::add));
      assertSame(ErrorCode.IPC, failure.error());
      int whole = Math.max(0, Math.min(5, length / 4 - 1));
      assertEquals(List.of(40, 41, 42, 43, 44).subList(0, whole), closed, "cut at " + length);
    }
  }

  @Test
  void oneFlippedByteNeverLosesADescriptorOrThrowsAnythingElse() {
    byte[] batch = wholeBatch();
    for (int i = 24; i < batch.length; i++) {
      byte[] flipped = batch.clone();
      flipped[i] ^= (byte) 0xff;
      closed.clear();
      List<Integer> seen = new ArrayList<>();
      try {
        for (Event event : EventReader.read(flipped, closed::add)) {
          Arrays.stream(event.fds()).forEach(seen::add);
        }
      } catch (BackupException e) {
        assertSame(ErrorCode.IPC, e.error());
      }
      seen.addAll(closed);
      assertEquals(List.of(40, 41, 42, 43, 44), seen.stream().sorted().toList(), "flip at " + i);
    }
  }

  private static byte[] wholeBatch() {
    ByteBuffer out = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(5);
    for (int fd = 40; fd < 45; fd++) {
      out.putInt(fd);
    }
    frame(out, 33, 1, body -> text(error(body.putInt(5), 0, 0, ""), "wert"));
    frame(
        out,
        34,
        2,
        body -> error(text(text(body.putLong(-2), "com.example.ä"), "part.0.tar"), 0, 0, ""));
    frame(
        out,
        34,
        0,
        body ->
            error(
                text(text(body.putLong(3), "com.example.b"), "u"), 13900025, 28, "while staging"));
    frame(out, 99, 1, body -> body.putInt(1));
    frame(out, 35, 0, body -> error(text(body, "a"), 0, 0, ""));
    frame(out, 36, 1, body -> error(text(body, "a"), 13500004, 0, "killed"));
    frame(out, 37, 0, body -> error(body, 0, 0, ""));
    frame(out, 38, 0, body -> text(text(body, "a"), "{}"));
    frame(out, 39, 0, body -> text(text(body, "a"), "[]"));
    return Arrays.copyOf(out.array(), out.position());
  }

  private static Set<Integer> frameBorders(byte[] batch) {
    ByteBuffer in = ByteBuffer.wrap(batch).order(ByteOrder.LITTLE_ENDIAN);
    Set<Integer> borders = new HashSet<>();
    in.position(24);
    while (in.hasRemaining()) {
      borders.add(in.position());
      in.position(in.position() + 4 + in.getInt(in.position()));
    }
    return borders;
  }

  private interface Body {
    ByteBuffer write(ByteBuffer out);
  }

  private static void frame(ByteBuffer out, int type, int fds, Body body) {
    int start = out.position();
    out.putInt(0).putShort((short) type).putShort((short) fds);
    body.write(out);
    out.putInt(start, out.position() - start - 4);
  }

  private static ByteBuffer text(ByteBuffer out, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return out.putInt(bytes.length).put(bytes);
  }

  private static ByteBuffer error(ByteBuffer out, int code, int errno, String message) {
    return text(out.putInt(code).putInt(errno), message);
  }
}
