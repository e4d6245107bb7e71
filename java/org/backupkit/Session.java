package org.backupkit;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.backupkit.internal.AppCall;
import org.backupkit.internal.Arguments;
import org.backupkit.internal.Bridge;
import org.backupkit.internal.Connection;
import org.backupkit.internal.Descriptors;
import org.backupkit.internal.Event;
import org.backupkit.internal.ListWriter;
import org.backupkit.internal.Replies;
import org.backupkit.internal.SerialExecutor;
import org.jspecify.annotations.Nullable;

/** What the three kinds of session have in common. Thread-safe. */
final class Session implements Connection.Sink {
  /** Work that ends in a reply; a failed check throws. */
  @FunctionalInterface
  interface Request {
    CompletableFuture<Event.Reply> send() throws BackupException;
  }

  private final Connection connection;
  private final WeakReference<BackupService> service;
  private final GeneralCallbacks callbacks;
  private final SerialExecutor executor;
  private final AtomicBoolean appended = new AtomicBoolean();
  private final AtomicReference<@Nullable CompletableFuture<Event.Reply>> released =
      new AtomicReference<>();
  private int batches; // appended and not at their end; guarded by this
  private @Nullable BackupService kept; // while there are some; guarded by this
  private volatile boolean over; // the release has its outcome: nothing is told any more

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
    Arguments.present(service, "service");
    if (callbacks == null) {
      throw Arguments.parameter("callbacks is null");
    }
    this.service = new WeakReference<>(service);
    this.connection = service.connection();
    this.callbacks = callbacks;
    this.executor =
        executor == null
            ? SerialExecutor.onOwnThread("backupkit-session")
            : new SerialExecutor(executor);
    requireOpenService();
    connection.await(() -> connection.openSession(kind, this));
  }

  CompletableFuture<Void> call(Request request) {
    return Replies.forCaller(send(request), nothing -> {});
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
            if (error != null && Replies.failure(error).error() != ErrorCode.NOT_PERMITTED) {
              appended.set(false); // nothing has begun
            }
          });
    };
  }

  CompletableFuture<Event.Reply> append(List<BundleItems.Item> items, @Nullable Fd capabilities)
      throws BackupException {
    List<Integer> manifests = new ArrayList<>();
    try {
      List<ListWriter.Item> encodable = new ArrayList<>();
      for (BundleItems.Item item : items) {
        int number = -1;
        if (item.manifest() != null) {
          number = item.manifest().use(Bridge::duplicate);
          manifests.add(number);
        }
        encodable.add(item.withManifest(number));
      }
      List<ListWriter.Part> parts = ListWriter.bundles(encodable);
      return capabilities == null
          ? appendUnderWay(parts, -1)
          : capabilities.use(number -> appendUnderWay(parts, number));
    } finally {
      manifests.forEach(Descriptors::discard);
    }
  }

  // A batch is told to its end, though its owner may have nothing but the callbacks.
  private CompletableFuture<Event.Reply> appendUnderWay(
      List<ListWriter.Part> parts, int capabilities) {
    synchronized (this) {
      batches++;
      kept = service.get();
    }
    return connection
        .append(parts, capabilities)
        .whenComplete(
            (value, error) -> {
              if (error != null) {
                batchEnded();
              }
            });
  }

  private synchronized void batchEnded() {
    if (--batches == 0) {
      kept = null;
    }
  }

  CompletableFuture<Event.Reply> fileHandle(FileMeta meta) throws BackupException {
    return ask(nameable(Arguments.present(meta, "fileMeta")));
  }

  /** Asks for several; all is checked before the first. */
  CompletableFuture<Event.Reply> fileHandles(String bundleName, List<String> uris)
      throws BackupException {
    List<FileMeta> files = new ArrayList<>();
    for (String uri : Arguments.present(uris, "uris")) {
      files.add(nameable(new FileMeta(bundleName, uri)));
    }
    return files.stream()
        .map(this::ask)
        // Where several fail this fails as the first of them does.
        .reduce((before, next) -> before.thenCombine(next, (first, second) -> second))
        .orElseThrow(() -> Arguments.invalid("the list of uris is empty"));
  }

  private CompletableFuture<Event.Reply> ask(FileMeta file) {
    return connection.fileHandle(file.bundleName(), file.uri());
  }

  private static FileMeta nameable(FileMeta meta) throws BackupException {
    String bundle = Arguments.bundleName(meta.bundleName());
    String uri = Arguments.uri(meta.uri());
    if (uri.isEmpty()) {
      throw Arguments.invalid("a file to ask for needs a uri");
    }
    return new FileMeta(bundle, uri);
  }

  CompletableFuture<Event.Reply> publish(FileMeta meta) throws BackupException {
    return publish(meta, -1);
  }

  CompletableFuture<Event.Reply> give(FileMeta meta, Fd content) throws BackupException {
    return Arguments.present(content, "content").use(number -> publish(meta, number));
  }

  private CompletableFuture<Event.Reply> publish(FileMeta meta, int content)
      throws BackupException {
    Arguments.present(meta, "fileMeta");
    String bundle = Arguments.bundleName(meta.bundleName());
    return connection.publish(bundle, Arguments.uri(meta.uri()), content);
  }

  /** Asks for the capability file without sizes. */
  CompletableFuture<FileData> capabilities() {
    CompletableFuture<Event.Reply> asked =
        reply(() -> connection.requestCapabilities(false, BackupService.EVERY_BUNDLE));
    return Replies.forCaller(FileData.of(asked), FileData::close);
  }

  /** Asks for a report on the size of bundles. */
  CompletableFuture<Void> dataSize(
      boolean precise, @Nullable List<IncrementalBackupTime> dataList) {
    return call(() -> connection.dataSize(precise, ListWriter.times(BundleItems.times(dataList))));
  }

  /** Ends a bundle; 0, or the code of why not. Blocks for the answer. */
  int cancel(@Nullable String bundleName) throws BackupException {
    String name = Arguments.namedBundle(bundleName);
    requireOpen();
    return Integer.parseInt(connection.await(() -> connection.cancel(name)).value());
  }

  /** Removes what an interrupted run of a bundle left; false where it is running. */
  CompletableFuture<Boolean> cleanTemp(@Nullable String bundleName) {
    return text(
        () -> connection.appCall(AppCall.CLEAN_TEMP, Arguments.namedBundle(bundleName), ""),
        Boolean::parseBoolean);
  }

  /** Asks the app about compatibility. */
  CompletableFuture<String> compatibility(
      AppCall call, @Nullable String bundleName, @Nullable String extInfo) {
    return text(
        () -> {
          if (extInfo == null) {
            throw Arguments.parameter("extInfo is null");
          }
          return connection.appCall(call, Arguments.namedBundle(bundleName), extInfo);
        },
        Function.identity());
  }

  CompletableFuture<Void> release() {
    return Replies.forCaller(released().thenApply(reply -> null), nothing -> {});
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
      executor.execute(new FileTask(new FileDelivery(connection, file)));
    } else {
      executor.execute(() -> unlessOver(() -> tell(event)));
      if (event instanceof Event.AllEnd) {
        batchEnded();
      }
    }
  }

  // What waited for a slow executor meanwhile would surprise a caller who has closed everything.
  private void unlessOver(Runnable telling) {
    if (!over) {
      telling.run();
    }
  }

  @Override
  public void died() {
    executor.execute(() -> unlessOver(callbacks::onBackupServiceDied));
  }

  /** Hands a reply to a callback on an executor. */
  static <T extends @Nullable Object> void deliver(
      CompletableFuture<T> reply, AsyncCallback<T> callback, SerialExecutor executor) {
    reply.whenComplete(
        (value, error) ->
            executor.execute(
                () -> callback.done(error == null ? null : Replies.failure(error), value)));
  }

  static BackupException notPermitted(String why) {
    return new BackupException(
        ErrorCode.NOT_PERMITTED, ErrorCode.NOT_PERMITTED.message() + ": " + why);
  }

  private <T> CompletableFuture<T> text(Request request, Function<String, T> value) {
    return Replies.forCaller(
        reply(request).thenApply(reply -> value.apply(reply.value())), nothing -> {});
  }

  private CompletableFuture<Void> send(Request request) {
    return reply(request).thenApply(reply -> null);
  }

  private CompletableFuture<Event.Reply> reply(Request request) {
    try {
      requireOpen();
      return request.send();
    } catch (BackupException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private void requireOpen() throws BackupException {
    requireOpenService();
    if (released.get() != null) {
      throw notPermitted("the session was released");
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
      over = true;
      mine.complete(nothingLeft);
      return mine;
    }
    connection
        .release(this)
        .whenComplete(
            (reply, error) -> {
              over = true;
              if (error == null || connection.isClosed()) {
                mine.complete(nothingLeft);
              } else {
                mine.completeExceptionally(Replies.failure(error));
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
    } else if (event instanceof Event.SizeReport report) {
      callbacks.onBackupSizeReport(report.json());
    }
  }

  /** Hands over a file, and those that wait right behind it. */
  private final class FileTask implements SerialExecutor.Task {
    private final FileDelivery file;

    FileTask(FileDelivery file) {
      this.file = file;
    }

    @Override
    public void run() {
      List<FileDelivery> files = new ArrayList<>();
      for (FileTask task = this; task != null; task = executor.takeNext(FileTask.class)) {
        files.add(task.file);
      }
      FileBatch batch = new FileBatch(files, () -> over);
      try {
        unlessOver(() -> callbacks.onFileReadyBatch(batch));
      } finally {
        batch.discard();
        connection.settle();
      }
    }

    @Override
    public void discard() {
      file.discard();
    }
  }
}
