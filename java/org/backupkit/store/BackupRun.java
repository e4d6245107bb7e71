package org.backupkit.store;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.GeneralCallbacks;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.internal.Await;
import org.backupkit.internal.SerialExecutor;
import org.backupkit.store.ProgressEvent.Kind;
import org.jspecify.annotations.Nullable;

/** Writes what one backup session delivers into the store. Its callbacks come one at a time. */
final class BackupRun implements GeneralCallbacks {
  private final BackupService service;
  private final ObjectNode capabilities;
  private final Map<String, Start> starts;
  private final BackupOptions options;
  private final Progress progress;
  private final Map<String, @Nullable BundleResult> results = new LinkedHashMap<>();
  private final Map<String, Incoming> running = new HashMap<>();
  private final Map<String, Json.Totals> totals = new HashMap<>();
  private final CompletableFuture<Void> ended = new CompletableFuture<>();

  BackupRun(
      BackupService service,
      ObjectNode capabilities,
      Map<String, Start> starts,
      BackupOptions options,
      Progress progress) {
    this.service = service;
    this.capabilities = capabilities;
    this.starts = starts;
    this.options = options;
    this.progress = event -> SerialExecutor.guarded(() -> progress.on(event));
  }

  /**
   * Backs up the bundles in one session; gives a result for each. What has not ended when the
   * session breaks fails by that, and its files are left for the next run.
   *
   * @throws BackupException when the service refused the session
   */
  List<BundleResult> backUp() throws IOException {
    starts.keySet().forEach(bundle -> results.put(bundle, null));
    Failure broken = new Failure(ErrorCode.IPC.code(), "The bundle was not heard of");
    try (IncrementalBackupSession session = new IncrementalBackupSession(service, this)) {
      append(session);
      try {
        Await.value(ended);
      } catch (BackupException e) {
        broken = Failure.of(e);
      }
    }
    running.values().forEach(this::leave);
    List<BundleResult> list = new ArrayList<>();
    for (Map.Entry<String, @Nullable BundleResult> result : results.entrySet()) {
      BundleResult known = result.getValue();
      list.add(known == null ? failed(result.getKey(), broken) : known);
    }
    return list;
  }

  private void append(IncrementalBackupSession session) throws IOException {
    List<IncrementalBackupData> data = new ArrayList<>();
    List<Fd> manifests = new ArrayList<>();
    try {
      for (Map.Entry<String, Start> start : starts.entrySet()) {
        IncrementalBackupData.Builder builder = IncrementalBackupData.builder(start.getKey());
        Path manifest = start.getValue().manifest();
        if (manifest != null) {
          Fd fd = Fd.open(manifest, StandardOpenOption.READ);
          manifests.add(fd);
          builder.manifestFd(fd).lastIncrementalTime(start.getValue().since());
        }
        data.add(builder.build());
      }
      List<String> infos = Collections.nCopies(data.size(), options.info());
      Await.value(session.appendBundles(data, infos));
    } finally {
      manifests.forEach(Fd::close);
    }
  }

  private static BundleResult failed(String bundle, Failure reason) {
    return new BundleResult(bundle, reason.code(), reason.message(), "", 0, 0, 0, 0, List.of());
  }

  @Override
  public void onBundleBegin(@Nullable BackupException error, String bundle) {
    if (error != null) {
      finish(failed(bundle, Failure.of(error)));
      return;
    }
    Start start = starts.get(bundle);
    if (start == null) {
      return;
    }
    try {
      if (Capabilities.entry(capabilities, bundle) == null) {
        // It was installed just now. No restore takes a bundle without its entry.
        throw new IOException("the service's capability file lacks it; run the backup again");
      }
      running.put(bundle, Incoming.begin(bundle, start));
      setPace(bundle);
      progress.on(new ProgressEvent(Kind.BEGIN, bundle, "", 0, 0, 0));
      if (!start.whyAnew().isEmpty()) {
        tell(Kind.ANEW, bundle, start.whyAnew());
      }
    } catch (IOException e) {
      String what = "No snapshot could be begun in \"" + start.home() + "\"";
      finish(failed(bundle, Failure.of(what, e)));
    }
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    if (file == null) {
      Incoming incoming = error == null ? null : running.get(error.bundleName());
      if (incoming != null) {
        incoming.lack(Failure.of(error));
      }
      return;
    }
    try (file) {
      Incoming incoming = running.get(file.bundleName());
      if (incoming != null) {
        incoming.add(file);
        tell(Kind.FILE, file.bundleName(), file.uri());
      }
    }
  }

  @Override
  public void onResultReport(String bundle, String report) {
    totals.put(bundle, Json.totals(report, totals.getOrDefault(bundle, Json.Totals.NONE)));
    tell(Kind.REPORT, bundle, report);
  }

  @Override
  public void onProcess(String bundle, String process) {
    tell(Kind.PROCESS, bundle, process);
  }

  @Override
  public void onBundleEnd(@Nullable BackupException error, String bundle) {
    Incoming incoming = running.remove(bundle);
    if (incoming == null) {
      return; // it could not be begun on this side, and has its result
    }
    Json.Totals sums = totals.getOrDefault(bundle, Json.Totals.NONE);
    boolean partial = error != null && sums.lost() > 0;
    if (incoming.failure() == null && (error == null || partial)) {
      publish(incoming, bundle, partial, sums);
    }
    Failure failure = incoming.failure();
    boolean published = failure == null && (error == null || partial);
    if (failure == null && error != null) {
      failure = Failure.of(error);
    }
    if (!published) {
      leave(incoming);
    }
    finish(
        new BundleResult(
            bundle,
            failure == null ? 0 : failure.code(),
            failure == null ? "" : failure.message(),
            published ? incoming.id() : "",
            incoming.count(),
            incoming.bytes(),
            sums.bytesMoved(),
            sums.bytesShared(),
            partial ? lost(sums, error) : List.of()));
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
        new BackupException(ErrorCode.IPC, "The backup service died during the backup"));
  }

  private void setPace(String bundle) {
    try {
      service.updateSendRate(bundle, options.rate());
      if (options.timeout() != null) {
        service.updateTimer(bundle, Math.toIntExact(options.timeout().toMillis()));
      }
    } catch (BackupException e) {
      // The bundle goes on at the usual pace; that the service has died is told by itself.
    }
  }

  private void publish(Incoming incoming, String bundle, boolean partial, Json.Totals sums) {
    try (incoming) {
      incoming.complete(capabilities, partial, sums);
      incoming.publish();
    } catch (IOException e) {
      incoming.fail(Failure.of("The snapshot of \"" + bundle + "\" could not be finished", e));
    }
  }

  private static List<String> lost(Json.Totals sums, BackupException error) {
    return sums.details().isEmpty() ? List.of(Failure.of(error).message()) : sums.details();
  }

  /** What is there stays for the next run, unless this side is to blame. */
  private void leave(Incoming incoming) {
    try (incoming) {
      if (!incoming.isOfUse()) {
        incoming.discard();
      }
    } catch (IOException e) {
      // The bundle's next run removes it; the bundle's own failure matters more.
      incoming.fail(Failure.of("An unfinished snapshot could not be removed", e));
    }
  }

  private void finish(BundleResult result) {
    results.put(result.bundle(), result);
    String text = result.succeeded() ? result.snapshot() : result.message();
    progress.on(
        new ProgressEvent(
            Kind.END, result.bundle(), text, result.files(), result.bytes(), result.code()));
  }

  private void tell(Kind kind, String bundle, String text) {
    Incoming incoming = running.get(bundle);
    if (incoming != null) {
      progress.on(new ProgressEvent(kind, bundle, text, incoming.count(), incoming.bytes(), 0));
    }
  }
}
