package org.backupkit.internal;

import java.io.FileDescriptor;
import org.backupkit.BackupException;
import org.jspecify.annotations.Nullable;

/**
 * Every crossing into native code. The order is that of the native table. Handles are only passed
 * by {@link NativeHandle}; batches are decoded by {@link EventReader}.
 */
public final class Bridge {
  static {
    NativeLibrary.load();
  }

  private Bridge() {}

  /** The exception of a failed native, which calls this by name. */
  static BackupException failure(int code, int errno, String message) {
    return Failures.create(code, errno, message);
  }

  static native int version();

  static native long connect(byte[] socketPath) throws BackupException;

  static native long embed(byte[] backupdPath, byte[] deviceRoot) throws BackupException;

  static native void shutdown(long client);

  static native void destroy(long client);

  static native int servicePid(long client);

  /**
   * Waits for events.
   *
   * @param client the client
   * @param patience for so many milliseconds, after which the batch is empty; negative: as long as
   *     it takes
   * @return the batch, or null at the connection's end
   * @throws BackupException if the connection breaks
   */
  static native byte @Nullable [] awaitEvents(long client, int patience) throws BackupException;

  static native void requestCapabilities(long client, int request, boolean measured, byte[] times)
      throws BackupException;

  static native void requestVersion(long client, int request) throws BackupException;

  static native void requestMetrics(long client, int request) throws BackupException;

  static native void appCall(long client, int request, int call, String bundle, byte[] argument)
      throws BackupException;

  static native void dataSize(long client, int request, boolean precise, byte[] times)
      throws BackupException;

  static native void openSession(long client, int request, int kind) throws BackupException;

  static native void append(
      long client, int request, boolean more, byte[] list, int capabilitiesFd, byte[] manifestFds)
      throws BackupException;

  static native void fileHandle(long client, int request, String bundle, String uri)
      throws BackupException;

  static native void publish(long client, int request, String bundle, String uri, int contentFd)
      throws BackupException;

  static native void updateTimer(long client, int request, String bundle, int milliseconds)
      throws BackupException;

  static native void updateRate(long client, int request, String bundle, int filesPerSecond)
      throws BackupException;

  static native void cancel(long client, int request, String bundle) throws BackupException;

  static native void release(long client, int request) throws BackupException;

  /**
   * Tells what became of files, in one message.
   *
   * @param client the client
   * @param settled the files as {@link Settlements} has them
   * @throws BackupException if the connection is broken
   */
  static native void settle(long client, byte[] settled) throws BackupException;

  /**
   * Opens a file, close-on-exec.
   *
   * @param path the name's bytes
   * @param flags Linux's numbers
   * @param mode of a new file
   * @return the descriptor
   * @throws BackupException if open fails
   */
  public static native int open(byte[] path, int flags, int mode) throws BackupException;

  /**
   * Closes a descriptor.
   *
   * @param fd the descriptor
   * @throws BackupException if close fails
   */
  public static native void close(int fd) throws BackupException;

  /**
   * Duplicates a descriptor, close-on-exec.
   *
   * @param fd the descriptor
   * @return the duplicate
   * @throws BackupException if there is no room for it
   */
  public static native int duplicate(int fd) throws BackupException;

  /**
   * The size of the file behind a descriptor.
   *
   * @param fd the descriptor
   * @return bytes
   * @throws BackupException if fstat fails
   */
  public static native long size(int fd) throws BackupException;

  /**
   * Moves the rest of a file inside the kernel; both positions move.
   *
   * @param in the source
   * @param out the target
   * @return bytes moved
   * @throws BackupException if reading or writing fails
   */
  public static native long transfer(int in, int out) throws BackupException;

  /**
   * Makes one file what another is, from their starts, and leaves what it begins with that is the
   * same.
   *
   * @param in the source
   * @param out the target, open to read and write
   * @return bytes copied
   * @throws BackupException if reading or writing fails
   */
  public static native long complete(int in, int out) throws BackupException;

  /**
   * Gives a received file that has no name one, and makes it this process's own, which nobody else
   * can write.
   *
   * @param fd the file
   * @param path where nothing is
   * @return false when it cannot be had like this, but can be copied
   * @throws BackupException if something is at the path, or there is no space for the name
   */
  public static native boolean giveName(int fd, byte[] path) throws BackupException;

  /**
   * Reads a whole file from offset 0; the position stays.
   *
   * @param fd the file
   * @return its bytes
   * @throws BackupException if reading fails
   */
  public static native byte[] readAll(int fd) throws BackupException;

  /**
   * Hashes ranges of a file and zeros, one behind the other; the position stays.
   *
   * @param fd the file
   * @param pieces for each its offset, -1 for zeros, and its bytes; 64 bits each, little-endian
   * @return the ASCII text of its XXH3-128, as the indexes and manifests have it
   * @throws BackupException if reading fails or the file is shorter
   */
  public static native byte[] hash(int fd, byte[] pieces) throws BackupException;

  /**
   * Hashes bytes.
   *
   * @param bytes the bytes
   * @return the same text
   */
  public static native byte[] hashBytes(byte[] bytes);

  /**
   * Syncs the file system that a descriptor is on.
   *
   * @param fd the descriptor
   * @throws BackupException if syncfs fails
   */
  public static native void syncFileSystem(int fd) throws BackupException;

  /**
   * Begins to write to the disk what the file's pages have, and waits for none of it: a sync that
   * comes later finds less to do, and tells what could not be written.
   *
   * @param fd the file
   */
  public static native void beginWriteOut(int fd);

  /**
   * Makes a stream's descriptor out of a number.
   *
   * @param target a new descriptor, which owns the number from now on
   * @param fd the number
   */
  public static native void bind(FileDescriptor target, int fd);
}
