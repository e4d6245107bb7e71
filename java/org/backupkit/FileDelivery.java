package org.backupkit;

import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.backupkit.internal.Connection;
import org.backupkit.internal.Event;
import org.jspecify.annotations.Nullable;

/** A file on its way to the listener; the service is told as soon as it was taken. */
final class FileDelivery {
  private final Connection connection;
  private final Event.FileReady event;

  FileDelivery(Connection connection, Event.FileReady event) {
    this.connection = connection;
    this.event = event;
  }

  /** Hands the file over; what the receiver throws closes it. */
  void handTo(BiConsumer<@Nullable BackupException, @Nullable BackupFile> receiver) {
    BackupFile file = null;
    try {
      if (event.error() != null || event.fds().length == 0) {
        receiver.accept(event.error() != null ? event.error() : noDescriptor(), null);
      } else {
        file = file();
        receiver.accept(null, file);
      }
    } catch (Throwable e) {
      if (file != null) {
        file.close();
      }
      throw e;
    } finally {
      connection.taken(event.sequence());
    }
  }

  /** Closes the file instead. */
  void discard() {
    if (event.fds().length > 0) {
      file().close();
    }
    connection.taken(event.sequence());
  }

  private BackupFile file() {
    // The descriptor outlives the session, so its last act must not hold the session.
    Connection told = connection;
    long sequence = event.sequence();
    int[] fds = event.fds();
    Supplier<String> what = () -> event.bundle() + "/" + event.uri();
    Fd content = new Fd(fds[0], what, () -> told.closed(sequence));
    Fd manifest = fds.length > 1 ? new Fd(fds[1], what, () -> {}) : null;
    return new BackupFile(event.bundle(), event.uri(), content, manifest);
  }

  private BackupException noDescriptor() {
    return new BackupException(
        ErrorCode.IPC.code(),
        ErrorCode.IPC.message() + ": a file came without its descriptor",
        event.bundle(),
        event.uri());
  }
}
