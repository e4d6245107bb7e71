package org.backupkit.store;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;

/**
 * The right to write to a store. The kernel drops the lock when its holder dies, so whoever has it
 * knows all others to be gone. The kernel also drops it when its process closes any descriptor of
 * the file, so within one the file is opened by the holder alone.
 */
final class StoreLock implements AutoCloseable {
  static final String FILE = ".lock";

  /** The stores that this process holds. */
  private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

  private final Path store;
  private final FileChannel channel;

  private StoreLock(Path store, FileChannel channel) {
    this.store = store;
    this.channel = channel;
  }

  /**
   * Takes the lock.
   *
   * @throws BackupException 13900001 while another has it
   */
  static StoreLock take(Path store) throws IOException {
    Path known = store.toRealPath();
    if (!HELD.add(known)) {
      throw inUse(store);
    }
    FileChannel channel = null;
    StoreLock taken = null;
    try {
      channel =
          FileChannel.open(
              known.resolve(FILE), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (channel.tryLock() == null) {
        throw inUse(store);
      }
      taken = new StoreLock(known, channel);
      return taken;
    } finally {
      if (taken == null) {
        release(known, channel);
      }
    }
  }

  /** Removes what a dead prune left; what a dead backup left is the next one's of that bundle. */
  void sweep() throws IOException {
    for (Path home : Directories.entries(store)) {
      for (Path entry : Directories.startingWith(home, Pruning.PREFIX)) {
        Directories.remove(entry);
      }
    }
  }

  @Override
  public void close() throws IOException {
    release(store, channel);
  }

  /** Lets the next one in only when the file is closed. */
  private static void release(Path store, @Nullable FileChannel channel) throws IOException {
    try {
      if (channel != null) {
        channel.close();
      }
    } finally {
      HELD.remove(store);
    }
  }

  private static BackupException inUse(Path store) {
    return new BackupException(
        ErrorCode.NOT_PERMITTED,
        "The store \"" + store + "\" is in use by another backup or prune; wait for its end");
  }
}
