package org.backupkit;

import java.util.concurrent.CompletableFuture;
import org.backupkit.internal.Descriptors;
import org.backupkit.internal.Event;

/** A file that the service made for its caller. Thread-safe. */
public final class FileData implements AutoCloseable {
  private final Fd fd;

  FileData(Fd fd) {
    this.fd = fd;
  }

  /** The file that a reply has. */
  static CompletableFuture<FileData> of(CompletableFuture<Event.Reply> reply) {
    return reply.thenCompose(
        answer -> {
          int[] fds = answer.fds();
          if (fds.length == 1) {
            return CompletableFuture.completedFuture(
                new FileData(new Fd(fds[0], () -> "of a reply", () -> {})));
          }
          Descriptors.discard(fds);
          return CompletableFuture.failedFuture(
              new BackupException(
                  ErrorCode.IPC, ErrorCode.IPC.message() + ": a reply without its descriptor"));
        });
  }

  /**
   * The file; owned by this object.
   *
   * @return the file, readable from offset 0
   */
  public Fd fd() {
    return fd;
  }

  /** Closes the file. A second call does nothing. */
  @Override
  public void close() {
    fd.close();
  }
}
