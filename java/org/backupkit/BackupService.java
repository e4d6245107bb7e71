package org.backupkit;

import java.lang.ref.Cleaner;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.backupkit.internal.Connection;
import org.backupkit.internal.Event;
import org.backupkit.internal.SerialExecutor;

/**
 * A connection to a backup service. Thread-safe. Closing it releases every session made from it.
 * {@link AsyncCallback}s and listeners run on one daemon thread per session or connection unless an
 * executor is given, never on the caller's.
 *
 * <pre>{@code
 * try (BackupService service = BackupService.connect();
 *     FileData capabilities = service.getLocalCapabilities().get()) {
 *   System.out.println(new String(capabilities.fd().readAllBytes(), UTF_8));
 * }
 * }</pre>
 */
public final class BackupService implements AutoCloseable {
  private static final String SOCKET_VARIABLE = "BACKUPKIT_SOCKET";
  private static final Path DEFAULT_SOCKET = Path.of("/run/backupkit/service.sock");
  private static final Cleaner CLEANER = Cleaner.create();

  private final Connection connection;
  private final Cleaner.Cleanable cleanable;
  private final SerialExecutor executor = SerialExecutor.onOwnThread("backupkit-service");

  private BackupService(Connection connection) {
    this.connection = connection;
    this.cleanable = CLEANER.register(this, connection::abandon);
  }

  /**
   * Connects to the device's service: by the socket that the environment's {@code BACKUPKIT_SOCKET}
   * names, else by {@code /run/backupkit/service.sock}. Blocks for the greeting.
   *
   * @return the connection
   * @throws BackupException 13600001 if no service answers or it is of another version; a caller
   *     without permission is told so by the calls, not here
   */
  public static BackupService connect() throws BackupException {
    String named = System.getenv(SOCKET_VARIABLE);
    return connect(named == null || named.isEmpty() ? DEFAULT_SOCKET : Path.of(named));
  }

  /**
   * Connects to a service. Blocks for the greeting.
   *
   * @param socket the service's socket
   * @return the connection
   * @throws BackupException 13600001 if no service answers or it is of another version
   */
  public static BackupService connect(Path socket) throws BackupException {
    return new BackupService(Connection.connect(socket));
  }

  /**
   * Starts a private service process that lives and dies with the object given. Blocks for the
   * greeting.
   *
   * @param deviceRoot the directory that the service takes for the device's root
   * @return the connection
   * @throws BackupException if the service cannot be started
   */
  public static BackupService embedded(Path deviceRoot) throws BackupException {
    return new BackupService(Connection.embed(deviceRoot));
  }

  /**
   * Asks what can be backed up here. Does not block.
   *
   * @return the capability file, which the caller closes; fails with a {@link BackupException}
   */
  public CompletableFuture<FileData> getLocalCapabilities() {
    return Connection.forCaller(capabilities(), FileData::close);
  }

  /**
   * Asks what can be backed up here. Does not block.
   *
   * @param callback gets the capability file, which it closes
   */
  public void getLocalCapabilities(AsyncCallback<FileData> callback) {
    Session.deliver(capabilities(), callback, executor);
  }

  /**
   * The service's process, as the service itself says in its greeting.
   *
   * @return its number, also when it is no more
   */
  public long servicePid() {
    return connection.servicePid();
  }

  /**
   * Tells whether the service can be asked.
   *
   * @return false once it was seen to have died, or this was closed
   */
  public boolean isAlive() {
    return connection.isAlive();
  }

  /**
   * Ends the connection and releases its sessions; an embedded service ends with it, and this waits
   * until it has. A second call does nothing.
   */
  @Override
  public void close() {
    connection.close();
    cleanable.clean();
  }

  Connection connection() {
    return connection;
  }

  private CompletableFuture<FileData> capabilities() {
    if (connection.isClosed()) {
      return CompletableFuture.failedFuture(Session.notPermitted("the connection was closed"));
    }
    return connection
        .requestCapabilities()
        .thenCompose(
            reply ->
                reply.fds().length == 1
                    ? CompletableFuture.completedFuture(new FileData(Fd.adopt(reply.fds()[0])))
                    : refuse(reply));
  }

  private static CompletableFuture<FileData> refuse(Event.Reply reply) {
    for (int fd : reply.fds()) {
      Connection.closeQuietly(fd);
    }
    return CompletableFuture.failedFuture(
        new BackupException(
            ErrorCode.IPC, ErrorCode.IPC.message() + ": capabilities without a descriptor"));
  }
}
