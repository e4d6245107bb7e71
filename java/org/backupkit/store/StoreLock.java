package org.backupkit.store;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;

/**
 * The right to write to a store. The kernel drops the lock when its holder dies, so whoever has it
 * knows all others to be gone.
 */
final class StoreLock implements AutoCloseable {
  static final String FILE = ".lock";

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
    FileChannel channel =
        FileChannel.open(store.resolve(FILE), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    if (lock == null) {
      channel.close();
      throw new BackupException(
          ErrorCode.NOT_PERMITTED,
          "The store \"" + store + "\" is in use by another backup or prune; wait for its end");
    }
    return new StoreLock(store, channel);
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
    channel.close();
  }
}
