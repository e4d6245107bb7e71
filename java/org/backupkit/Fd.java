package org.backupkit;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.function.Supplier;
import org.backupkit.internal.Bridge;
import org.backupkit.internal.NativeHandle;
import org.backupkit.internal.PathBytes;
import org.jspecify.annotations.Nullable;

/**
 * An owned file descriptor. Closed once, close-on-exec; a lost one is closed and reported by a
 * Cleaner. Thread-safe: a descriptor that is closed while another thread works with it is closed
 * when that work is done.
 *
 * <pre>{@code
 * try (Fd source = Fd.open(from); Fd target = Fd.open(to, CREATE, WRITE)) {
 *   source.transferTo(target);
 * }
 * }</pre>
 */
public final class Fd implements AutoCloseable {
  private static final int O_WRONLY = 01;
  private static final int O_RDWR = 02;
  private static final int O_CREAT = 0100;
  private static final int O_EXCL = 0200;
  private static final int O_TRUNC = 01000;
  private static final int O_APPEND = 02000;
  private static final int NEW_FILE_MODE = 0666;

  private final NativeHandle handle;
  private final Runnable onGone;

  /**
   * Owns {@code number}; {@code onGone} runs once after it was closed or detached, {@code what}
   * says in a report what it is. Neither must refer to this object.
   */
  Fd(int number, Supplier<String> what, Runnable onGone) {
    if (number < 0) {
      throw new IllegalArgumentException("not a descriptor: " + number);
    }
    this.onGone = onGone;
    this.handle =
        new NativeHandle(
            number, (value, lost) -> closeNumber((int) value, lost ? what : null, onGone));
  }

  /**
   * Opens a file. May block as the file system does.
   *
   * @param path the file
   * @param options of {@link StandardOpenOption}: READ (the default), WRITE, APPEND, CREATE,
   *     CREATE_NEW, TRUNCATE_EXISTING, SPARSE, as {@link java.nio.file.Files#newByteChannel} takes
   *     them
   * @return the descriptor
   * @throws UnsupportedOperationException for any other option
   * @throws IllegalArgumentException for READ or TRUNCATE_EXISTING with APPEND
   * @throws IOException if the file cannot be opened
   */
  public static Fd open(Path path, OpenOption... options) throws IOException {
    int number = Bridge.open(PathBytes.of(path), flags(Set.of(options)), NEW_FILE_MODE);
    return new Fd(number, path::toString, () -> {});
  }

  /**
   * Takes ownership of a descriptor.
   *
   * @param number the descriptor, which nobody else closes from now on
   * @return its owner
   * @throws IllegalArgumentException if the number is negative
   */
  public static Fd adopt(int number) {
    return new Fd(number, () -> "adopted", () -> {});
  }

  /**
   * The descriptor's number; ownership stays here, and so does the duty to keep this object
   * reachable while the number is used.
   *
   * @return the number
   * @throws IllegalStateException once closed or detached
   */
  public int number() {
    return use(number -> number);
  }

  /**
   * Gives ownership away.
   *
   * @return the number, now the caller's to close
   * @throws IllegalStateException once closed or detached
   */
  public int detach() {
    int number = (int) handle.detach();
    onGone.run();
    return number;
  }

  /**
   * Tells whether this object still owns a descriptor.
   *
   * @return false once closed or detached
   */
  public boolean isOpen() {
    return handle.isOpen();
  }

  /**
   * The size of the file.
   *
   * @return bytes
   * @throws IOException if it cannot be asked
   * @throws IllegalStateException once closed or detached
   */
  public long size() throws IOException {
    return use(Bridge::size);
  }

  /**
   * Moves the rest of this file, from its position to its end, to another's position, inside the
   * kernel. Any size. Holes stay holes where the other is a file that ends at its position. Blocks.
   *
   * @param target where to
   * @return bytes moved
   * @throws IOException if reading or writing fails
   * @throws IllegalStateException if either is closed or detached
   */
  public long transferTo(Fd target) throws IOException {
    return use(from -> target.use(to -> Bridge.transfer(from, to)));
  }

  /**
   * Copies the rest of this file to a path, sharing blocks where the file system can. Blocks.
   *
   * @param target created or truncated
   * @return bytes copied
   * @throws IOException if reading or writing fails
   * @throws IllegalStateException once closed or detached
   */
  public long copyTo(Path target) throws IOException {
    return use(from -> copyNumberTo(from, target)); // a closed one leaves the target as it is
  }

  private static long copyNumberTo(int from, Path target) throws IOException {
    try (Fd out =
        open(
            target,
            StandardOpenOption.WRITE,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      return out.use(to -> Bridge.transfer(from, to));
    }
  }

  /**
   * Copies a whole file to this one's position, sharing blocks where the file system can. Blocks.
   *
   * @param source the file
   * @return bytes copied
   * @throws IOException if reading or writing fails
   * @throws IllegalStateException once closed or detached
   */
  public long copyFrom(Path source) throws IOException {
    try (Fd in = open(source)) {
      return in.transferTo(this);
    }
  }

  /**
   * Makes this file what another is: what it begins with that is the same stays, the rest is copied
   * as {@link #copyFrom} does. So a copy that was interrupted is completed at the cost of what is
   * left. Blocks.
   *
   * @param source the file
   * @return bytes copied
   * @throws IOException if reading or writing fails; this needs both
   * @throws IllegalStateException once closed or detached
   */
  public long completeFrom(Path source) throws IOException {
    try (Fd in = open(source)) {
      return in.use(from -> use(to -> Bridge.complete(from, to)));
    }
  }

  /**
   * Reads the whole file from offset 0; the position stays. Blocks.
   *
   * @return its bytes
   * @throws IOException if reading fails
   * @throws IllegalStateException once closed or detached
   */
  public byte[] readAllBytes() throws IOException {
    return use(Bridge::readAll);
  }

  /**
   * Opens a stream on a duplicate, which shares the position with this. The stream must be closed.
   *
   * @return the stream
   * @throws IOException if there is no room for the duplicate
   * @throws IllegalStateException once closed or detached
   */
  public FileInputStream newInputStream() throws IOException {
    return new FileInputStream(duplicate());
  }

  /**
   * Opens a stream on a duplicate, which shares the position with this. The stream must be closed.
   *
   * @return the stream
   * @throws IOException if there is no room for the duplicate
   * @throws IllegalStateException once closed or detached
   */
  public FileOutputStream newOutputStream() throws IOException {
    return new FileOutputStream(duplicate());
  }

  /**
   * Opens a channel on a duplicate, which shares the position with this. It reads and writes as the
   * descriptor allows, and must be closed.
   *
   * @return the channel
   * @throws IOException if there is no room for the duplicate
   * @throws IllegalStateException once closed or detached
   */
  public SeekableByteChannel newByteChannel() throws IOException {
    return new FdChannel(duplicate());
  }

  /**
   * Closes the descriptor, or leaves that to the call that still works with it. A second call does
   * nothing.
   */
  @Override
  public void close() {
    handle.close();
  }

  /** Work with the number, which stays open meanwhile. */
  @FunctionalInterface
  interface Call<T, X extends Exception> {
    T apply(int number) throws X;
  }

  <T, X extends Exception> T use(Call<T, X> call) throws X {
    return handle.use(value -> call.apply((int) value));
  }

  private FileDescriptor duplicate() throws IOException {
    int number = use(Bridge::duplicate);
    FileDescriptor descriptor = new FileDescriptor();
    Bridge.bind(descriptor, number);
    return descriptor;
  }

  // `lost` says what was lost; null: it was closed.
  private static void closeNumber(int number, @Nullable Supplier<String> lost, Runnable onGone) {
    if (lost != null) {
      System.getLogger(Fd.class.getName())
          .log(
              Level.WARNING,
              "descriptor {0} ({1}) was lost without a close",
              String.valueOf(number),
              lost.get());
    }
    try {
      Bridge.close(number);
    } catch (BackupException e) {
      System.getLogger(Fd.class.getName())
          .log(Level.WARNING, "descriptor " + number + " was closed with an error", e);
    }
    onGone.run();
  }

  private static int flags(Set<OpenOption> options) {
    for (OpenOption option : options) {
      if (!SUPPORTED.contains(option)) {
        throw new UnsupportedOperationException(option + " is not supported");
      }
    }
    boolean append = options.contains(StandardOpenOption.APPEND);
    boolean read = options.contains(StandardOpenOption.READ);
    boolean truncate = options.contains(StandardOpenOption.TRUNCATE_EXISTING);
    if (append && (read || truncate)) {
      throw new IllegalArgumentException("APPEND with READ or TRUNCATE_EXISTING");
    }
    if (!append && !options.contains(StandardOpenOption.WRITE)) {
      return 0;
    }
    int flags = read ? O_RDWR : O_WRONLY;
    flags |= append ? O_APPEND : 0;
    flags |= truncate ? O_TRUNC : 0;
    flags |= options.contains(StandardOpenOption.CREATE) ? O_CREAT : 0;
    flags |= options.contains(StandardOpenOption.CREATE_NEW) ? O_CREAT | O_EXCL : 0;
    return flags;
  }

  private static final Set<OpenOption> SUPPORTED =
      Set.of(
          StandardOpenOption.READ,
          StandardOpenOption.WRITE,
          StandardOpenOption.APPEND,
          StandardOpenOption.CREATE,
          StandardOpenOption.CREATE_NEW,
          StandardOpenOption.TRUNCATE_EXISTING,
          StandardOpenOption.SPARSE);
}
