package org.backupkit.internal;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.backupkit.BackupException;
import org.jspecify.annotations.Nullable;

/**
 * A connection to a service: what it can be asked, and the one session that takes its events.
 * Futures given from here complete on the thread that pulls events: only our own code may hang on
 * them, and must not block. Thread-safe.
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

  private final Conversation conversation;
  private final int servicePid;
  private volatile @Nullable Sink session; // written by the event thread only

  private Connection(long client) {
    this.servicePid = Bridge.servicePid(client);
    this.conversation = new Conversation(client, new OpenSession());
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
    connection.conversation.start();
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
    return conversation.isAlive();
  }

  /**
   * Tells whether our side closed the connection.
   *
   * @return false while it is open, and when the service died
   */
  public boolean isClosed() {
    return conversation.isClosed();
  }

  /**
   * Asks for the capability file.
   *
   * @param measured whether the sizes are wanted, for which the data is walked
   * @param times of whom, as {@link ListWriter} has it; empty for every bundle
   * @return the reply, with one descriptor
   */
  public CompletableFuture<Event.Reply> requestCapabilities(boolean measured, byte[] times) {
    return conversation.ask(
        (address, request) -> Bridge.requestCapabilities(address, request, measured, times));
  }

  /**
   * Asks for the version of the interface.
   *
   * @return the reply, with a JSON text
   */
  public CompletableFuture<Event.Reply> requestVersion() {
    return conversation.ask((address, request) -> Bridge.requestVersion(address, request));
  }

  /**
   * Asks what the service counts.
   *
   * @return the reply, with one descriptor of OpenMetrics text
   */
  public CompletableFuture<Event.Reply> requestMetrics() {
    return conversation.ask((address, request) -> Bridge.requestMetrics(address, request));
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
    return conversation.ask(
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
    return conversation.ask(
        (address, request) -> Bridge.dataSize(address, request, precise, times));
  }

  /**
   * Opens a session.
   *
   * @param kind its kind
   * @param sink where its events go once it is open
   * @return the reply
   */
  public CompletableFuture<Event.Reply> openSession(Kind kind, Sink sink) {
    return conversation.ask(
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
    return conversation.ask(
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
    return conversation.ask((address, request) -> Bridge.fileHandle(address, request, bundle, uri));
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
    return conversation.ask(
        (address, request) -> Bridge.publish(address, request, bundle, uri, content));
  }

  /**
   * Sets the time that a running bundle has.
   *
   * @param bundle the bundle
   * @param milliseconds from now on
   * @return the reply, with "true" or "false"
   */
  public CompletableFuture<Event.Reply> updateTimer(String bundle, int milliseconds) {
    return conversation.ask(
        (address, request) -> Bridge.updateTimer(address, request, bundle, milliseconds));
  }

  /**
   * Sets the rate of a running bundle's files.
   *
   * @param bundle the bundle
   * @param filesPerSecond how many
   * @return the reply, with "true" or "false"
   */
  public CompletableFuture<Event.Reply> updateRate(String bundle, int filesPerSecond) {
    return conversation.ask(
        (address, request) -> Bridge.updateRate(address, request, bundle, filesPerSecond));
  }

  /**
   * Ends a bundle.
   *
   * @param bundle the bundle
   * @return the reply, with a number: 0, or the code of why not
   */
  public CompletableFuture<Event.Reply> cancel(String bundle) {
    return conversation.ask((address, request) -> Bridge.cancel(address, request, bundle));
  }

  /**
   * Ends the open session.
   *
   * @param sink the session's
   * @return the reply, after which nothing comes to the sink
   */
  public CompletableFuture<Event.Reply> release(Sink sink) {
    return conversation.ask(
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
    conversation.settle(sequence, TAKEN);
  }

  /**
   * Tells the service that a file was closed, as {@link #taken} does.
   *
   * @param sequence the file's
   */
  public void closed(long sequence) {
    conversation.settle(sequence, CLOSED);
  }

  /** Tells the service now what became of files so far, of those that go together. */
  public void settle() {
    conversation.settle();
  }

  /** Ends the connection and waits until nothing of it is left. A second call does nothing. */
  public void close() {
    conversation.close();
  }

  /** Ends the connection without waiting; for a Cleaner. */
  public void abandon() {
    conversation.abandon();
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
    return conversation.await(request);
  }

  // The service's events on their way to the session that is open.
  private final class OpenSession implements Sink {
    @Override
    public void accept(Event event) {
      Sink open = session;
      if (open != null) {
        open.accept(event);
        return;
      }
      Descriptors.discard(event.fds());
      if (event instanceof Event.FileReady file) {
        taken(file.sequence());
        closed(file.sequence());
      }
    }

    @Override
    public void died() {
      Sink open = session;
      session = null;
      if (open != null && !isClosed()) {
        open.died();
      }
    }
  }
}
