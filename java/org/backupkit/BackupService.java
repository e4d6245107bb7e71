package org.backupkit;

import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.backupkit.internal.AppCall;
import org.backupkit.internal.Arguments;
import org.backupkit.internal.Connection;
import org.backupkit.internal.Event;
import org.backupkit.internal.InnerRequests;
import org.backupkit.internal.ListWriter;
import org.backupkit.internal.Replies;
import org.backupkit.internal.SerialExecutor;

/**
 * A connection to a backup service. Thread-safe. Closing it releases every session made from it.
 * {@link AsyncCallback}s and listeners run on one daemon thread per session or connection unless an
 * executor is given, never on the caller's. An interrupt does not end a call that blocks, and stays
 * set. Calls that wait for an answer when this is closed fail with 13600001, those that come later
 * with 13900001. A callback that an executor runs at once, on the thread that brings the answers,
 * must not wait for one: a call that blocks throws an {@link IllegalStateException} there, and asks
 * nothing.
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
  private static final int MAX_TIMEOUT_MILLIS = 14_400_000;
  static final byte[] EVERY_BUNDLE = {};
  private static final Cleaner CLEANER = Cleaner.create();

  static {
    InnerRequests.open(new InnerWay());
  }

  private final Connection connection;
  private final Cleaner.Cleanable cleanable;
  private final SerialExecutor executor = SerialExecutor.onOwnThread("backupkit-service");

  private BackupService(Connection connection) {
    this.connection = connection;
    this.cleanable = CLEANER.register(this, new Net(connection));
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
    return Replies.forCaller(capabilities(true, EVERY_BUNDLE), FileData::close);
  }

  /**
   * Asks what can be backed up here. Does not block.
   *
   * @param callback gets the capability file, which it closes
   */
  public void getLocalCapabilities(AsyncCallback<FileData> callback) {
    Session.deliver(capabilities(true, EVERY_BUNDLE), callback, executor);
  }

  /**
   * Asks what can be backed up of some bundles, and how much of it has changed. Does not block.
   *
   * @param dataList the bundles, and since when their changes are counted, in seconds since the
   *     epoch; those that are not installed are left out, an empty list gives an empty one
   * @return the capability file with {@code increSpaceOccupied}, which the caller closes; fails
   *     with 401 for a list that is null or has a null or an invalid name, with 201 or 202 without
   *     permission, and otherwise as the service says
   */
  public CompletableFuture<FileData> getLocalCapabilities(List<IncrementalBackupTime> dataList) {
    try {
      List<IncrementalBackupTime> times = BundleItems.times(dataList);
      return Replies.forCaller(capabilities(true, ListWriter.times(times)), FileData::close);
    } catch (BackupException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  /**
   * Asks an app what it says of itself; needs no session. Blocks for the app's answer, five seconds
   * at most.
   *
   * @param bundleToBackup the app
   * @return the app's text; "" where it has no hook program or says nothing
   * @throws BackupException 13900020 for an invalid name or an app that is not installed; 13500003
   *     when it does not answer; 13500007 when its code failed; 13900001 when the service may not
   *     act for its user; 201 or 202 without permission
   */
  public String getBackupInfo(String bundleToBackup) throws BackupException {
    String name = Arguments.bundleName(bundleToBackup);
    return ask(() -> connection.appCall(AppCall.BACKUP_INFO, name, ""));
  }

  /**
   * Sets how long a running bundle may take from now on, for a session of this object. It replaces
   * the limit on time without progress, and what was set before. Blocks for the service's answer.
   *
   * @param bundleName the bundle
   * @param timeoutMillis 0 to 14,400,000; 0 ends the bundle now
   * @return true between the bundle's begin and end, else false and nothing has changed; false,
   *     too, when its end is certain and still to be told: its time is up, or it was cancelled
   * @throws BackupException 401 for an invalid name or a number outside; 201 or 202 without
   *     permission
   */
  public boolean updateTimer(String bundleName, int timeoutMillis) throws BackupException {
    String name = Arguments.namedBundle(bundleName);
    int limit = Arguments.withinRange(timeoutMillis, MAX_TIMEOUT_MILLIS, "timeout");
    return Boolean.parseBoolean(ask(() -> connection.updateTimer(name, limit)));
  }

  /**
   * Sets how many files of a running bundle are handed out per second, for a backup session of this
   * object; at first it is 60. It acts on the next file. Blocks for the service's answer.
   *
   * @param bundleName the bundle
   * @param fdsPerSecond 0 pauses; more than the service's maximum, 800 if its settings do not say
   *     otherwise, is taken as that maximum
   * @return true between the bundle's begin and end, else false and nothing has changed; false,
   *     too, when its end is certain and still to be told: its time is up, or it was cancelled
   * @throws BackupException 401 for an invalid name or a negative number; 201 or 202 without
   *     permission
   */
  public boolean updateSendRate(String bundleName, int fdsPerSecond) throws BackupException {
    String name = Arguments.namedBundle(bundleName);
    int rate = Arguments.withinRange(fdsPerSecond, Integer.MAX_VALUE, "sendRate");
    return Boolean.parseBoolean(ask(() -> connection.updateRate(name, rate)));
  }

  /**
   * Asks for the version of the interface. Blocks for the service's answer.
   *
   * @return a JSON object with {@code backupVersion}
   * @throws BackupException 201 or 202 without permission
   */
  public String getBackupVersion() throws BackupException {
    return ask(connection::requestVersion);
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
   * until it has. A second call does nothing. Where it is missing, that is done, and logged as a
   * warning with the place where this was made, when nobody can reach this and its sessions any
   * more, and no bundle of theirs is left to end.
   */
  @Override
  public void close() {
    connection.close();
    executor.retire();
    cleanable.clean();
  }

  Connection connection() {
    return connection;
  }

  private String ask(Supplier<CompletableFuture<Event.Reply>> request) throws BackupException {
    if (connection.isClosed()) {
      throw closed();
    }
    return connection.await(request).value();
  }

  private CompletableFuture<FileData> capabilities(boolean measured, byte[] times) {
    if (connection.isClosed()) {
      return CompletableFuture.failedFuture(closed());
    }
    return FileData.of(connection.requestCapabilities(measured, times));
  }

  /** Closes what nobody closed, and says where it was made. */
  private static final class Net implements Runnable {
    private final Connection connection;
    private final Throwable made = new Throwable("made here");

    Net(Connection connection) {
      this.connection = connection;
    }

    @Override
    public void run() {
      if (!connection.isClosed()) {
        System.getLogger(BackupService.class.getName())
            .log(Level.WARNING, "a service was lost without a close", made);
        connection.abandon();
      }
    }
  }

  private static final class InnerWay implements InnerRequests.Way {
    @Override
    public CompletableFuture<FileData> capabilities(BackupService service, byte[] times) {
      return service.capabilities(false, times);
    }

    @Override
    public CompletableFuture<FileData> metrics(BackupService service) {
      return FileData.of(service.connection.requestMetrics());
    }
  }

  private static BackupException closed() {
    return Session.notPermitted("the connection was closed");
  }
}
