package org.backupkit.store;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.GeneralCallbacks;
import org.backupkit.SessionRestore;
import org.backupkit.internal.Await;
import org.backupkit.internal.SerialExecutor;
import org.backupkit.store.ProgressEvent.Kind;
import org.jspecify.annotations.Nullable;

/**
 * Feeds snapshots to one restore session. Callbacks come one at a time; a refused request's answer
 * may come from another thread, so all that touches the state holds this object's lock.
 *
 * <p>A bundle whose files cannot be given is never published. When only such bundles run, the
 * session is given up, which drops what they have staged; the caller opens another one for what had
 * not begun.
 */
final class RestoreRun implements GeneralCallbacks {
  private static final int WINDOW = 8;

  private final Map<String, Contents> snapshots;
  private final Map<String, Queue<String>> waiting = new HashMap<>();
  private final Map<String, Set<String>> pending = new HashMap<>();
  private final Map<String, Long> counts = new HashMap<>();
  private final Map<String, Long> sizes = new HashMap<>();
  private final Map<String, Failure> failures = new HashMap<>();
  private final Map<String, Json.Totals> totals = new HashMap<>();
  private final Map<String, BundleResult> results = new LinkedHashMap<>();
  private final RestoreOptions options;
  private final Progress progress;
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private @Nullable SessionRestore session;
  private boolean gaveUp;

  /** Restores these snapshots, by bundle. */
  RestoreRun(Map<String, Contents> snapshots, RestoreOptions options, Progress progress) {
    this.snapshots = snapshots;
    this.options = options;
    this.progress = event -> SerialExecutor.guarded(() -> progress.on(event));
    snapshots.forEach(
        (bundle, contents) -> {
          // With the index there, the parts are unpacked as they come.
          Queue<String> queue = new ArrayDeque<>(List.of(Description.INDEX));
          queue.addAll(contents.names());
          waiting.put(bundle, queue);
        });
  }

  /**
   * Restores what it can. A bundle without a result is one to try again in another session; there
   * is a result at least for one.
   *
   * @throws BackupException when the session could not be opened or refused the bundles
   */
  Map<String, BundleResult> restore(BackupService service, Fd capabilities) throws IOException {
    Failure broken = new Failure(ErrorCode.IPC.code(), "The bundle was not heard of");
    try (SessionRestore opened = new SessionRestore(service, this)) {
      synchronized (this) {
        session = opened;
      }
      List<String> names = List.copyOf(snapshots.keySet());
      List<String> infos = Collections.nCopies(names.size(), options.info());
      Await.value(opened.appendBundles(capabilities, names, infos));
      try {
        Await.value(ended);
      } catch (BackupException e) {
        broken = Failure.of(e);
      }
    }
    synchronized (this) {
      failures.forEach((bundle, failure) -> results.putIfAbsent(bundle, result(bundle, failure)));
      return gaveUp ? Map.copyOf(results) : failAll(broken);
    }
  }

  /** The results, with this failure for each bundle that has none. */
  synchronized Map<String, BundleResult> failAll(Failure failure) {
    snapshots.keySet().forEach(bundle -> results.putIfAbsent(bundle, result(bundle, failure)));
    return Map.copyOf(results);
  }

  @Override
  public synchronized void onBundleBegin(@Nullable BackupException error, String bundle) {
    if (error != null) {
      finish(bundle, Failure.of(error));
    } else if (waiting.containsKey(bundle) && !ended.isDone()) {
      progress.on(new ProgressEvent(Kind.BEGIN, bundle, "", 0, 0, 0));
      pending.put(bundle, new HashSet<>());
      giveNext(bundle);
    }
  }

  @Override
  public synchronized void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    if (file == null) {
      if (error != null && error.bundleName() != null) {
        fail(error.bundleName(), Failure.of(error));
      }
      return;
    }
    long written;
    try (file) {
      written = fill(file);
    }
    if (written >= 0) {
      given(file.bundleName(), file.uri(), written);
    }
  }

  @Override
  public synchronized void onResultReport(String bundle, String report) {
    totals.put(bundle, Json.totals(report, totals.getOrDefault(bundle, Json.Totals.NONE)));
    tell(Kind.REPORT, bundle, report);
  }

  @Override
  public synchronized void onProcess(String bundle, String process) {
    tell(Kind.PROCESS, bundle, process);
  }

  @Override
  public synchronized void onBundleEnd(@Nullable BackupException error, String bundle) {
    Failure failure = failures.get(bundle);
    if (failure == null && error != null) {
      failure = Failure.of(error);
    }
    pending.remove(bundle);
    finish(bundle, failure);
    giveUpIfStuck();
  }

  @Override
  public void onAllBundlesEnd(@Nullable BackupException error) {
    if (error == null) {
      ended.complete(null);
    } else {
      ended.completeExceptionally(error);
    }
  }

  @Override
  public void onBackupServiceDied() {
    ended.completeExceptionally(
        new BackupException(ErrorCode.IPC, "The backup service died during the restore"));
  }

  private SessionRestore session() {
    if (session == null) {
      throw new IllegalStateException("No session");
    }
    return session;
  }

  private void giveNext(String bundle) {
    Queue<String> queue = waiting.get(bundle);
    Set<String> under = pending.get(bundle);
    Contents contents = snapshots.get(bundle);
    String uri = queue == null ? null : queue.poll();
    if (uri == null || under == null || contents == null) {
      return;
    }
    under.add(uri);
    Path part = contents.part(uri);
    if (part == null) {
      ask(bundle, uri);
    } else {
      handOver(bundle, uri, part);
    }
  }

  private void ask(String bundle, String uri) {
    send(bundle, session().getFileHandle(new FileMeta(bundle, uri)));
  }

  /** A part is unpacked from where it lies; what becomes the app's own file has to be written. */
  private void handOver(String bundle, String uri, Path part) {
    try (Fd fd = Fd.open(part)) {
      long size = fd.size();
      CompletableFuture<Void> watched =
          session()
              .giveFile(new FileMeta(bundle, uri), fd)
              .whenComplete((nothing, error) -> handedOver(bundle, uri, size, error));
      watched.exceptionally(error -> null); // seen to above
    } catch (IOException e) {
      fail(bundle, notGiven(bundle, uri, e));
    }
  }

  private synchronized void handedOver(
      String bundle, String uri, long size, @Nullable Throwable error) {
    if (error == null) {
      given(bundle, uri, size);
    } else if (error instanceof BackupException refused
        && refused.code() == ErrorCode.OUT_OF_MEMORY.code()) {
      ask(bundle, uri);
    } else {
      refused(bundle, error);
    }
  }

  /** A request that is refused fails its bundle. */
  private void send(String bundle, CompletableFuture<Void> request) {
    CompletableFuture<Void> watched =
        request.whenComplete(
            (nothing, error) -> {
              if (error != null) {
                refused(bundle, error);
              }
            });
    watched.exceptionally(error -> null); // seen to above
  }

  private void refused(String bundle, Throwable error) {
    fail(
        bundle,
        error instanceof BackupException refusal
            ? Failure.of(refusal)
            : new Failure(ErrorCode.UNKNOWN.code(), error.toString()));
  }

  /** Writes a file; gives how much was to be written, or -1 if it could not be. */
  private long fill(BackupFile file) {
    String bundle = file.bundleName();
    Contents contents = snapshots.get(bundle);
    if (contents == null || failures.containsKey(bundle)) {
      return -1;
    }
    try {
      return write(contents, file);
    } catch (IOException e) {
      fail(bundle, notGiven(bundle, file.uri(), e));
      return -1;
    }
  }

  private void given(String bundle, String uri, long bytes) {
    counts.merge(bundle, 1L, Long::sum);
    sizes.merge(bundle, bytes, Long::sum);
    tell(Kind.FILE, bundle, uri);
    Set<String> under = pending.get(bundle);
    Queue<String> queue = waiting.get(bundle);
    if (under == null || queue == null || !under.remove(uri) || failures.containsKey(bundle)) {
      return;
    }
    // Looked at before more is given: an answer may be there at once, and come here again.
    if (under.isEmpty() && queue.isEmpty()) {
      send(bundle, session().publishFile(new FileMeta(bundle, "")));
    } else if (uri.equals(Description.INDEX)) {
      // Refused, it only means that nothing is unpacked before all is there.
      session().publishFile(new FileMeta(bundle, uri)).exceptionally(refusal -> null);
      for (int i = 0; i < WINDOW; i++) {
        giveNext(bundle);
      }
    } else {
      giveNext(bundle);
    }
  }

  private Failure notGiven(String bundle, String uri, IOException error) {
    String id = snapshots.containsKey(bundle) ? snapshots.get(bundle).id() : "";
    String what = "\"" + uri + "\" of snapshot " + id + " of \"" + bundle;
    return Failure.of(what + "\" could not be given to the service", error);
  }

  private static long write(Contents contents, BackupFile file) throws IOException {
    Path source = contents.file(file.uri());
    if (source != null) {
      return file.fd().completeFrom(source);
    }
    byte[] index = contents.index();
    try (OutputStream out = file.fd().newOutputStream()) {
      out.write(index);
    }
    Path manifest = contents.manifest();
    Fd target = file.manifestFd();
    if (manifest != null && target != null) {
      return index.length + target.copyFrom(manifest);
    }
    return index.length;
  }

  private synchronized void fail(String bundle, Failure failure) {
    if (!results.containsKey(bundle)) {
      failures.putIfAbsent(bundle, failure);
      giveUpIfStuck();
    }
  }

  private void giveUpIfStuck() {
    if (!pending.isEmpty() && failures.keySet().containsAll(pending.keySet()) && !ended.isDone()) {
      gaveUp = true;
      ended.complete(null);
    }
  }

  private void finish(String bundle, @Nullable Failure failure) {
    BundleResult result = result(bundle, failure);
    if (results.putIfAbsent(bundle, result) == null) {
      progress.on(
          new ProgressEvent(
              Kind.END,
              bundle,
              result.succeeded() ? result.snapshot() : result.message(),
              result.files(),
              result.bytes(),
              result.code()));
    }
  }

  private BundleResult result(String bundle, @Nullable Failure failure) {
    Json.Totals sums = totals.getOrDefault(bundle, Json.Totals.NONE);
    Contents contents = snapshots.get(bundle);
    return new BundleResult(
        bundle,
        failure == null ? 0 : failure.code(),
        failure == null ? "" : failure.message(),
        contents == null ? "" : contents.id(),
        counts.getOrDefault(bundle, 0L),
        sizes.getOrDefault(bundle, 0L),
        sums.bytesMoved(),
        sums.bytesShared(),
        List.of());
  }

  private void tell(Kind kind, String bundle, String text) {
    long count = counts.getOrDefault(bundle, 0L);
    progress.on(new ProgressEvent(kind, bundle, text, count, sizes.getOrDefault(bundle, 0L), 0));
  }
}
