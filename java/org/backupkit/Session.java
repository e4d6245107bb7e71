package org.backupkit;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.backupkit.internal.Arguments;
import org.backupkit.internal.Connection;
import org.backupkit.internal.Event;
import org.backupkit.internal.SerialExecutor;
import org.jspecify.annotations.Nullable;

/** What the three kinds of session have in common. Thread-safe. */
final class Session implements Connection.Sink {
  /** Work that ends in a reply; a failed check throws. */
  @FunctionalInterface
  interface Request {
    CompletableFuture<Event.Reply> send() throws BackupException;
  }

  /** One bundle to append. */
  record Item(String name, String info, String parameters, int priority) {}

  // Keeps the service from being collected while the session is in use.
  private final BackupService service;
  private final Connection connection;
  private final GeneralCallbacks callbacks;
  private final SerialExecutor executor;
  private final AtomicBoolean appended = new AtomicBoolean();
  private final AtomicReference<@Nullable CompletableFuture<Event.Reply>> released =
      new AtomicReference<>();

  /**
   * Opens the session; blocks until the service has answered. A null executor means a thread of the
   * session's own.
   */
  Session(
      BackupService service,
      GeneralCallbacks callbacks,
      @Nullable Executor executor,
      Connection.Kind kind)
      throws BackupException {
    this.service = Arguments.present(service, "service");
    if (callbacks == null) {
      throw new BackupException(
          ErrorCode.PARAMETER, ErrorCode.PARAMETER.message() + ": callbacks is null");
    }
    this.connection = service.connection();
    this.callbacks = callbacks;
    this.executor =
        executor == null
            ? SerialExecutor.onOwnThread("backupkit-session")
            : new SerialExecutor(executor);
    requireOpenService();
    try {
      connection.openSession(kind, this).join();
    } catch (CompletionException e) {
      throw Connection.failure(e);
    }
  }

  CompletableFuture<Void> call(Request request) {
    return Connection.forCaller(send(request), nothing -> {});
  }

  void call(Request request, AsyncCallback<Void> callback) {
    deliver(send(request), callback, executor);
  }

  /** Appends what may be appended once. */
  Request appendOnce(Request append) {
    return () -> {
      if (!appended.compareAndSet(false, true)) {
        throw notPermitted("appendBundles was called before");
      }
      CompletableFuture<Event.Reply> reply;
      try {
        reply = append.send();
      } catch (BackupException | RuntimeException e) {
        appended.set(false);
        throw e;
      }
      return reply.whenComplete(
          (value, error) -> {
            if (error != null && Connection.failure(error).error() == ErrorCode.INVALID_ARGUMENT) {
              appended.set(false); // nothing has begun
            }
          });
    };
  }

  CompletableFuture<Event.Reply> append(List<Item> items, @Nullable Fd capabilities) {
    byte[] list = encode(items);
    return capabilities == null
        ? connection.append(list, -1)
        : capabilities.use(number -> connection.append(list, number));
  }

  CompletableFuture<Event.Reply> fileHandle(FileMeta meta) throws BackupException {
    Arguments.present(meta, "fileMeta");
    String bundle = Arguments.bundleName(meta.bundleName());
    String uri = Arguments.uri(meta.uri());
    if (uri.isEmpty()) {
      throw Arguments.invalid("getFileHandle needs a uri");
    }
    return connection.fileHandle(bundle, uri);
  }

  CompletableFuture<Event.Reply> publish(FileMeta meta) throws BackupException {
    Arguments.present(meta, "fileMeta");
    return connection.publish(Arguments.bundleName(meta.bundleName()), Arguments.uri(meta.uri()));
  }

  /** The items of a list of names, each once; {@code infos} null for none. */
  static List<Item> items(@Nullable List<String> bundles, @Nullable List<String> infos)
      throws BackupException {
    List<String> names = nonEmpty(bundles);
    requireSameLength(names, infos);
    List<Item> items = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < names.size(); i++) {
      String name = Arguments.bundleName(names.get(i));
      String info = info(infos, i);
      if (seen.add(name)) {
        items.add(new Item(name, info, "", 0));
      }
    }
    return items;
  }

  /** The items of an incremental backup, each once; {@code infos} null for none. */
  static List<Item> incrementalItems(
      @Nullable List<IncrementalBackupData> bundles, @Nullable List<String> infos)
      throws BackupException {
    if (bundles == null || bundles.stream().anyMatch(data -> data == null)) {
      throw new BackupException(
          ErrorCode.PARAMETER, ErrorCode.PARAMETER.message() + ": a null in appendBundles");
    }
    List<IncrementalBackupData> data = nonEmpty(bundles);
    requireSameLength(data, infos);
    List<Item> items = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < data.size(); i++) {
      IncrementalBackupData one = data.get(i);
      String name = Arguments.bundleName(one.bundleName());
      String info = info(infos, i);
      String parameters = one.parameters();
      if (!parameters.isEmpty()) {
        Arguments.jsonObject(parameters, "parameters");
      }
      if (seen.add(name)) {
        items.add(new Item(name, info, parameters, one.priority()));
      }
    }
    return items;
  }

  CompletableFuture<Void> release() {
    return Connection.forCaller(released().thenApply(reply -> null), nothing -> {});
  }

  void close() {
    CompletableFuture<Event.Reply> reply = released();
    if (!executor.isInside()) {
      // The outcome does not matter: whatever failed, the session is over.
      reply.handle((value, error) -> true).join();
    }
  }

  @Override
  public void accept(Event event) {
    if (event instanceof Event.FileReady file) {
      executor.execute(new FileTask(file));
    } else {
      executor.execute(() -> tell(event));
    }
  }

  @Override
  public void died() {
    executor.execute(callbacks::onBackupServiceDied);
  }

  /** Hands a reply to a callback on an executor. */
  static <T extends @Nullable Object> void deliver(
      CompletableFuture<T> reply, AsyncCallback<T> callback, SerialExecutor executor) {
    reply.whenComplete(
        (value, error) ->
            executor.execute(
                () -> callback.done(error == null ? null : Connection.failure(error), value)));
  }

  static BackupException notPermitted(String why) {
    return new BackupException(
        ErrorCode.NOT_PERMITTED, ErrorCode.NOT_PERMITTED.message() + ": " + why);
  }

  private CompletableFuture<Void> send(Request request) {
    try {
      requireOpenService();
      if (released.get() != null) {
        throw notPermitted("the session was released");
      }
      return request.send().thenApply(reply -> null);
    } catch (BackupException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private void requireOpenService() throws BackupException {
    if (connection.isClosed()) {
      throw notPermitted("the service's connection was closed");
    }
  }

  private CompletableFuture<Event.Reply> released() {
    CompletableFuture<Event.Reply> mine = new CompletableFuture<>();
    CompletableFuture<Event.Reply> first = released.compareAndExchange(null, mine);
    if (first != null) {
      return first;
    }
    mine.whenComplete((reply, error) -> executor.retire());
    Event.Reply nothingLeft = new Event.Reply(0, null, "", new int[0]);
    if (!connection.isAlive()) {
      mine.complete(nothingLeft);
      return mine;
    }
    connection
        .release(this)
        .whenComplete(
            (reply, error) -> {
              if (error == null || connection.isClosed()) {
                mine.complete(nothingLeft);
              } else {
                mine.completeExceptionally(Connection.failure(error));
              }
            });
    return mine;
  }

  private void tell(Event event) {
    if (event instanceof Event.BundleBegin begin) {
      callbacks.onBundleBegin(begin.error(), begin.bundle());
    } else if (event instanceof Event.BundleEnd end) {
      callbacks.onBundleEnd(end.error(), end.bundle());
    } else if (event instanceof Event.AllEnd end) {
      callbacks.onAllBundlesEnd(end.error());
    } else if (event instanceof Event.ResultReport report) {
      callbacks.onResultReport(report.bundle(), report.json());
    } else if (event instanceof Event.Process process) {
      callbacks.onProcess(process.bundle(), process.json());
    }
  }

  private static <T> List<T> nonEmpty(@Nullable List<T> list) throws BackupException {
    // Copied first: what was checked is what is sent, whatever the caller does to the list.
    List<T> copy = new ArrayList<>(Arguments.present(list, "the list of bundles"));
    if (copy.isEmpty()) {
      throw Arguments.invalid("the list of bundles is empty");
    }
    return copy;
  }

  private static void requireSameLength(List<?> bundles, @Nullable List<String> infos)
      throws BackupException {
    if (infos != null && infos.size() != bundles.size()) {
      throw Arguments.invalid(infos.size() + " infos for " + bundles.size() + " bundles");
    }
  }

  private static String info(@Nullable List<String> infos, int index) throws BackupException {
    return infos == null ? "" : Arguments.jsonObject(infos.get(index), "infos[" + index + "]");
  }

  private static byte[] encode(List<Item> items) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(number(items.size()));
    for (Item item : items) {
      for (String text : List.of(item.name(), item.info(), item.parameters())) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.writeBytes(number(bytes.length));
        out.writeBytes(bytes);
      }
      out.writeBytes(number(item.priority()));
    }
    return out.toByteArray();
  }

  private static byte[] number(int value) {
    return ByteBuffer.allocate(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
  }

  /** Hands one file to the listener and settles it. */
  private final class FileTask implements SerialExecutor.Task {
    private final Event.FileReady event;

    FileTask(Event.FileReady event) {
      this.event = event;
    }

    @Override
    public void run() {
      BackupFile file = null;
      try {
        if (event.error() != null || event.fds().length == 0) {
          callbacks.onFileReady(event.error() != null ? event.error() : noDescriptor(), null);
        } else {
          file = file();
          callbacks.onFileReady(null, file);
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

    @Override
    public void discard() {
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
      Fd content = new Fd(fds[0], () -> told.closed(sequence));
      Fd manifest = fds.length > 1 ? Fd.adopt(fds[1]) : null;
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
}
