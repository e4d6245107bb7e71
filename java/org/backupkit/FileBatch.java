package org.backupkit;

import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
import org.backupkit.internal.SerialExecutor;
import org.jspecify.annotations.Nullable;

/**
 * Files that are ready together, in their order: each is there, or says why it is not. There are
 * never more than may be under way at a time. Thread-safe: several threads that share a batch get
 * different files.
 */
public final class FileBatch {
  private final Queue<FileDelivery> left;
  private final int size;
  private final BooleanSupplier isOver;

  /** Where {@code isOver} says so no file is handed out any more. */
  FileBatch(List<FileDelivery> files, BooleanSupplier isOver) {
    this.left = new ConcurrentLinkedQueue<>(files);
    this.size = files.size();
    this.isOver = isOver;
  }

  /**
   * How many files are ready.
   *
   * @return those that could not be handed out among them
   */
  public int size() {
    return size;
  }

  /**
   * Hands out each file that is left, on the caller's thread. As soon as the receiver has returned
   * the service may send another file. What it throws goes to the thread's uncaught handler and
   * closes this one file; the next ones follow. Nothing is handed out any more when {@link
   * GeneralCallbacks#onFileReadyBatch} has returned, or the session's release has.
   *
   * @param receiver is given what {@link GeneralCallbacks#onFileReady} is: why a file could not be
   *     handed out, or the file, which it owns from then on and must close
   */
  public void forEach(BiConsumer<@Nullable BackupException, @Nullable BackupFile> receiver) {
    for (FileDelivery file = left.poll(); file != null; file = left.poll()) {
      FileDelivery next = file;
      if (isOver.getAsBoolean()) {
        next.discard();
      } else {
        SerialExecutor.guarded(() -> next.handTo(receiver));
      }
    }
  }

  /** Closes what is left. */
  void discard() {
    for (FileDelivery file = left.poll(); file != null; file = left.poll()) {
      file.discard();
    }
  }
}
