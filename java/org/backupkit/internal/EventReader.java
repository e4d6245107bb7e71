package org.backupkit.internal;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;

/**
 * Decodes one batch of events. Little-endian:
 *
 * <pre>
 * batch = u32 fdCount, i32 fds[fdCount], frame*       descriptors belong to the frames in order
 * frame = u32 length of the rest, u16 type, u16 fds, body
 * text  = u32 length, UTF-8 bytes
 * error = i32 code (0 none), i32 errno, text
 * 33 Reply        u32 request, error, text value
 * 34 FileReady    u64 sequence, text bundle, text uri, error
 * 35 BundleBegin  text bundle, error
 * 36 BundleEnd    text bundle, error
 * 37 AllEnd       error
 * 38 ResultReport text bundle, text json
 * 39 Process      text bundle, text json
 * 40 SizeReport   text json
 * </pre>
 *
 * Frames of other types are skipped.
 */
final class EventReader {
  private final ByteBuffer bytes;
  private final IntConsumer closer;
  private int[] fds = {};
  private int fdsTaken;

  private EventReader(byte[] batch, IntConsumer closer) {
    this.bytes = ByteBuffer.wrap(batch).order(ByteOrder.LITTLE_ENDIAN);
    this.closer = closer;
  }

  /**
   * Decodes a batch. Descriptors that end in no event are given to {@code closer}, all of them when
   * the batch is malformed.
   *
   * @throws BackupException 13600001 if the batch is malformed
   */
  static List<Event> read(byte[] batch, IntConsumer closer) throws BackupException {
    EventReader reader = new EventReader(batch, closer);
    try {
      List<Event> events = reader.events();
      reader.closeFrom(reader.fdsTaken);
      return events;
    } catch (BufferUnderflowException | IllegalArgumentException e) {
      reader.closeFrom(0);
      BackupException failure =
          new BackupException(
              ErrorCode.IPC, ErrorCode.IPC.message() + ": a malformed batch of events");
      failure.initCause(e);
      throw failure;
    }
  }

  private List<Event> events() {
    readFds();
    List<Event> events = new ArrayList<>();
    List<int[]> skipped = new ArrayList<>();
    while (bytes.hasRemaining()) {
      ByteBuffer frame = slice(bytes, length(bytes));
      int type = Short.toUnsignedInt(frame.getShort());
      int[] own = takeFds(Short.toUnsignedInt(frame.getShort()));
      Event event = body(type, frame, own);
      if (event != null) {
        events.add(event);
      }
      if (event == null || event.fds().length == 0) {
        skipped.add(own);
      }
    }
    // Only now is it certain that the batch is whole; before, all are closed together.
    skipped.forEach(this::closeAll);
    return events;
  }

  private void readFds() {
    int count = length(bytes);
    int[] numbers = new int[Math.min(count, bytes.remaining() / Integer.BYTES)];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = bytes.getInt();
    }
    fds = numbers;
    if (count > numbers.length) {
      throw new IllegalArgumentException("the list of descriptors is cut off");
    }
  }

  private int[] takeFds(int count) {
    if (count > fds.length - fdsTaken) {
      throw new IllegalArgumentException("a frame claims too many descriptors");
    }
    int[] own = new int[count];
    System.arraycopy(fds, fdsTaken, own, 0, count);
    fdsTaken += count;
    return own;
  }

  private static @Nullable Event body(int type, ByteBuffer in, int[] fds) {
    switch (type) {
      case 33:
        int request = in.getInt();
        return new Event.Reply(request, error(in, null, null), text(in), fds);
      case 34:
        long sequence = in.getLong();
        String fileBundle = text(in);
        String uri = text(in);
        return new Event.FileReady(sequence, fileBundle, uri, error(in, fileBundle, uri), fds);
      case 35:
        String begun = text(in);
        return new Event.BundleBegin(begun, error(in, begun, null));
      case 36:
        String ended = text(in);
        return new Event.BundleEnd(ended, error(in, ended, null));
      case 37:
        return new Event.AllEnd(error(in, null, null));
      case 38:
        return new Event.ResultReport(text(in), text(in));
      case 39:
        return new Event.Process(text(in), text(in));
      case 40:
        return new Event.SizeReport(text(in));
      default:
        return null;
    }
  }

  private static @Nullable BackupException error(
      ByteBuffer in, @Nullable String bundle, @Nullable String uri) {
    int code = in.getInt();
    int errno = in.getInt();
    String message = text(in);
    return code == 0 ? null : Failures.create(code, errno, message, bundle, uri);
  }

  private static String text(ByteBuffer in) {
    return StandardCharsets.UTF_8.decode(slice(in, length(in))).toString();
  }

  private static int length(ByteBuffer in) {
    int length = in.getInt();
    if (length < 0) {
      throw new IllegalArgumentException("length " + Integer.toUnsignedString(length));
    }
    return length;
  }

  private static ByteBuffer slice(ByteBuffer in, int length) {
    if (length > in.remaining()) {
      throw new BufferUnderflowException();
    }
    ByteBuffer slice = in.slice(in.position(), length).order(ByteOrder.LITTLE_ENDIAN);
    in.position(in.position() + length);
    return slice;
  }

  private void closeFrom(int first) {
    for (int i = first; i < fds.length; i++) {
      closer.accept(fds[i]);
    }
  }

  private void closeAll(int[] numbers) {
    for (int number : numbers) {
      closer.accept(number);
    }
  }
}
