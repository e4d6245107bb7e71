package org.backupkit.internal;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import org.backupkit.BackupException;
import org.jspecify.annotations.Nullable;

/**
 * A connection to a service, with the one thread that pulls its events. Futures given from here
 * complete on that thread: only our own code may hang on them, and must not block. Thread-safe.
 */
public final class Connection {
  /** Kinds of session, by number. */
  public enum Kind {
    /** Full backup. */
    BACKUP,
    /** Restore. */
    RESTORE,
    /** Incremental backup. */
    INCREMENTAL
  }

  private static final int TAKEN = 0;
  private static final int CLOSED = 1;
  private static final int FOREVER = -1;

  private final NativeHandle client;
  private final CountDownLatch freed = new CountDownLatch(1);
  private final int servicePid;
  private final Thread thread;
  private final Settlements settlements = new Settlements(this::settle, System::nanoTime);
  private final Map<Integer, CompletableFuture<Event.Reply>> pending = new ConcurrentHashMap<>();
  private final AtomicInteger lastRequest = new AtomicInteger();
  private volatile boolean ended;
  private volatile boolean closed;
  private volatile @Nullable Sink session; // written by the event thread only

  private Connection(long client) {
    this.servicePid = Bridge.servicePid(client);
    CountDownLatch freed = this.freed; // what frees the client must not hold this
    this.client =
        new NativeHandle(
            client,
            (address, lost) -> {
              Bridge.destroy(address);
              freed.countDown();
            });
    this.thread = SerialExecutor.daemon(this::pull, "backupkit-events");
  }

  /**
   * Where the events of the open session go. Both methods are called on the event thread and must
   * not block.
   */
  public interface Sink {
    /**
     * Takes an event and its descriptors.
     *
     * @param event anything but a reply
     */
    void accept(Event event);

    /** Takes note that the service died. */
    void died();
  }

  /**
   * Connects to a service.
   *
   * @param socket its socket
   * @return the connection
   * @throws BackupException if there is none, or of another version
   */
  public static Connection connect(Path socket) throws BackupException {
    return start(Bridge.connect(PathBytes.of(socket)));
  }

  /**
   * Starts a private service.
   *
   * @param deviceRoot where it works
   * @return the connection to it; the service ends with it
   * @throws BackupException if it cannot be started
   */
  public static Connection embed(Path deviceRoot) throws BackupException {
    return start(Bridge.embed(PathBytes.of(NativeLibrary.backupd()), PathBytes.of(deviceRoot)));
  }

  private static Connection start(long client) {
    Connection connection = new Connection(client);
    connection.thread.start();
    return connection;
  }

  /**
   * The service's process.
   *
   * @return its number as the service said it
   */
  public int servicePid() {
    return servicePid;
  }

  /**
   * Tells whether the service can be asked.
   *
   * @return false once it died or the connection was closed
   */
  public boolean isAlive() {
    return !ended && !closed;
  }

  /**
   * Tells whether our side closed the connection.
   *
   * @return false while it is open, and when the service died
   */
  public boolean isClosed() {
    return closed;
  }

  /**
   * Asks for the capability file.
   *
   * @param measured whether the sizes are wanted, for which the data is walked
   * @param times of whom, as {@link ListWriter} has it; empty for every bundle
   * @return the reply, with one descriptor
   */
  public CompletableFuture<Event.Reply> requestCapabilities(boolean measured, byte[] times) {
    return ask((address, request) -> Bridge.requestCapabilities(address, request, measured, times));
  }

  /**
   * Asks for the version of the interface.
   *
   * @return the reply, with a JSON text
   */
  public CompletableFuture<Event.Reply> requestVersion() {
    return ask((address, request) -> Bridge.requestVersion(address, request));
  }

  /**
   * Asks what the service counts.
   *
   * @return the reply, with one descriptor of OpenMetrics text
   */
  public CompletableFuture<Event.Reply> requestMetrics() {
    return ask((address, request) -> Bridge.requestMetrics(address, request));
  }

  /**
   * Asks an app.
   *
   * @param call for what
   * @param bundle the app
   * @param argument a text for it
   * @return the reply, with the app's text
   */
  public CompletableFuture<Event.Reply> appCall(AppCall call, String bundle, String argument) {
    byte[] bytes = argument.getBytes(StandardCharsets.UTF_8);
    return ask(
        (address, request) -> Bridge.appCall(address, request, call.ordinal(), bundle, bytes));
  }

  /**
   * Asks for a report on the size of bundles.
   *
   * @param precise whether the files are to be counted
   * @param times of whom, as {@link ListWriter} has it
   * @return the reply, after the report
   */
  public CompletableFuture<Event.Reply> dataSize(boolean precise, byte[] times) {
    return ask((address, request) -> Bridge.dataSize(address, request, precise, times));
  }

  /**
   * Opens a session.
   *
   * @param kind its kind
   * @param sink where its events go once it is open
   * @return the reply
   */
  public CompletableFuture<Event.Reply> openSession(Kind kind, Sink sink) {
    return ask(
        (address, request) -> Bridge.openSession(address, request, kind.ordinal()),
        reply -> {
          if (reply.error() == null) {
            session = sink;
          }
          return reply;
        });
  }

  /**
   * Appends bundles to the open session.
   *
   * @param parts the list, in as many parts as it needs
   * @param capabilities descriptor, or -1; may be closed once this returns
   * @return the reply
   */
  public CompletableFuture<Event.Reply> append(List<ListWriter.Part> parts, int capabilities) {
    return ask(
        (address, request) -> {
          for (int i = 0; i < parts.size(); i++) {
            ListWriter.Part part = parts.get(i);
            boolean more = i + 1 < parts.size();
            Bridge.append(address, request, more, part.list(), capabilities, part.manifests());
          }
        });
  }

  /**
   * Asks for a file to write.
   *
   * @param bundle its bundle
   * @param uri its name
   * @return the reply
   */
  public CompletableFuture<Event.Reply> fileHandle(String bundle, String uri) {
    return ask((address, request) -> Bridge.fileHandle(address, request, bundle, uri));
  }

  /**
   * Says that a file is written, or gives one as it is.
   *
   * @param bundle its bundle
   * @param uri its name, or "" for all
   * @param content the descriptor of one that is given, which may be closed then; else -1
   * @return the reply
   */
  public CompletableFuture<Event.Reply> publish(String bundle, String uri, int content) {
    return ask((address, request) -> Bridge.publish(address, request, bundle, uri, content));
  }

  /**
   * Sets the time that a running bundle has.
   *
   * @param bundle the bundle
   * @param milliseconds from now on
   * @return the reply, with "true" or "false"
   */
  public CompletableFuture<Event.Reply> updateTimer(String bundle, int milliseconds) {
    return ask((address, request) -> Bridge.updateTimer(address, request, bundle, milliseconds));
  }

  /**
   * Sets the rate of a running bundle's files.
   *
   * @param bundle the bundle
   * @param filesPerSecond how many
   * @return the reply, with "true" or "false"
   */
  public CompletableFuture<Event.Reply> updateRate(String bundle, int filesPerSecond) {
    return ask((address, request) -> Bridge.updateRate(address, request, bundle, filesPerSecond));
  }

  /**
   * Ends a bundle.
   *
   * @param bundle the bundle
   * @return the reply, with a number: 0, or the code of why not
   */
  public CompletableFuture<Event.Reply> cancel(String bundle) {
    return ask((address, request) -> Bridge.cancel(address, request, bundle));
  }

  /**
   * Ends the open session.
   *
   * @param sink the session's
   * @return the reply, after which nothing comes to the sink
   */
  public CompletableFuture<Event.Reply> release(Sink sink) {
    return ask(
        (address, request) -> Bridge.release(address, request),
        reply -> {
          if (session == sink) {
            session = null;
          }
          return reply;
        });
  }

  /**
   * Tells the service that a file's listener returned; within a millisecond, if it may go together
   * with others. Does nothing once the connection has ended.
   *
   * @param sequence the file's
   */
  public void taken(long sequence) {
    settlements.add(sequence, TAKEN);
  }

  /**
   * Tells the service that a file was closed, as {@link #taken} does.
   *
   * @param sequence the file's
   */
  public void closed(long sequence) {
    settlements.add(sequence, CLOSED);
  }

  /** Tells the service now what became of files so far, of those that go together. */
  public void settle() {
    settlements.send();
  }

  /** Ends the connection and waits until nothing of it is left. A second call does nothing. */
  public void close() {
    closed = true;
    shutdown();
    if (Thread.currentThread() != thread) {
      awaitTheEnd();
    }
  }

  // The thread's, and the client's, which another thread's call may still be at.
  private void awaitTheEnd() {
    boolean interrupted = false;
    for (boolean ended = false; !ended; ) {
      try {
        thread.join();
        freed.await();
        ended = true;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends the connection without waiting; for a Cleaner. */
  public void abandon() {
    closed = true;
    shutdown();
  }

  /**
   * Sends a request and waits for its reply.
   *
   * @param request sends it
   * @return the reply
   * @throws BackupException its failure
   * @throws IllegalStateException on the thread that brings replies; nothing was sent
   */
  public Event.Reply await(Supplier<CompletableFuture<Event.Reply>> request)
      throws BackupException {
    if (Thread.currentThread() == thread) {
      throw new IllegalStateException(
          "the thread that brings the reply must not wait for it: give the session an executor"
              + " with threads of its own");
    }
    try {
      return request.get().join();
    } catch (CompletionException e) {
      throw Replies.failure(e);
    }
  }

  /**
   * Closes a descriptor that nobody wants.
   *
   * @param fd the descriptor
   */
  public static void closeQuietly(int fd) {
    try {
      Bridge.close(fd);
    } catch (BackupException e) {
      // It is gone in any case, and nothing was written through it.
    }
  }

  private void settle(byte[] settled) {
    try {
      client.use(
          address -> {
            Bridge.settle(address, settled);
            return settled;
          });
    } catch (BackupException | IllegalStateException e) {
      // The connection has ended: nobody counts any more.
    }
  }

  private void shutdown() {
    try {
      client.use(
          address -> {
            Bridge.shutdown(address);
            return address;
          });
    } catch (IllegalStateException e) {
      // Ended already.
    }
  }

  @FunctionalInterface
  private interface Send {
    void send(long address, int request) throws BackupException;
  }

  private CompletableFuture<Event.Reply> ask(Send send) {
    return ask(send, Function.identity());
  }

  // `first` runs on the event thread before anything else sees the reply; a failed one is passed on
  // with its error.
  private CompletableFuture<Event.Reply> ask(Send send, Function<Event.Reply, Event.Reply> first) {
    CompletableFuture<Event.Reply> reply = new CompletableFuture<>();
    int request = lastRequest.incrementAndGet();
    pending.put(request, reply);
    CompletableFuture<Event.Reply> result =
        reply.thenApply(first).thenCompose(Connection::successful);
    try {
      settlements.send(); // what was closed before is known before it is asked for
      if (ended) { // looked at after the put: the event thread fails what is there when it ends
        throw Failures.disconnected();
      }
      client.use(
          address -> {
            send.send(address, request);
            return request;
          });
    } catch (BackupException e) {
      fail(request, e);
    } catch (IllegalStateException e) {
      fail(request, Failures.disconnected());
    }
    return result;
  }

  private void fail(int request, BackupException error) {
    CompletableFuture<Event.Reply> reply = pending.remove(request);
    if (reply != null) {
      reply.completeExceptionally(error);
    }
  }

  private static CompletableFuture<Event.Reply> successful(Event.Reply reply) {
    BackupException error = reply.error();
    if (error == null) {
      return CompletableFuture.completedFuture(reply);
    }
    for (int fd : reply.fds()) {
      closeQuietly(fd);
    }
    return CompletableFuture.failedFuture(error);
  }

  private void pull() {
    BackupException reason = Failures.disconnected();
    try {
      int patience = FOREVER;
      while (true) {
        byte[] batch = await(patience);
        if (batch == null) {
          break;
        }
        List<Event> events = EventReader.read(batch, Connection::closeQuietly);
        if (events.isEmpty()) {
          patience = FOREVER;
          settlements.leave();
        } else if (events.stream().anyMatch(Event.FileReady.class::isInstance)) {
          patience = Settlements.PATIENCE;
          settlements.watch();
        }
        settlements.look();
        events.forEach(this::dispatch);
      }
    } catch (BackupException e) {
      reason = e;
    } finally {
      end(reason);
    }
  }

  private byte @Nullable [] await(int patience) throws BackupException {
    return client.use(address -> Bridge.awaitEvents(address, patience));
  }

  private void dispatch(Event event) {
    Sink sink = session;
    if (event instanceof Event.Reply reply) {
      CompletableFuture<Event.Reply> waiting = pending.remove(reply.request());
      if (waiting != null) {
        waiting.complete(reply);
        return;
      }
    } else if (sink != null) {
      sink.accept(event);
      return;
    }
    for (int fd : event.fds()) {
      closeQuietly(fd);
    }
    if (event instanceof Event.FileReady file) {
      taken(file.sequence());
      closed(file.sequence());
    }
  }

  private void end(BackupException reason) {
    ended = true;
    shutdown();
    for (Integer request : List.copyOf(pending.keySet())) {
      fail(request, reason);
    }
    Sink sink = session;
    session = null;
    if (sink != null && !closed) {
      sink.died();
    }
    client.close();
  }
}
