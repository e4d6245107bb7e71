package com.example.outside;

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.backupkit.AsyncCallback;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.BackupService;
import org.backupkit.ErrorCode;
import org.backupkit.Fd;
import org.backupkit.FileBatch;
import org.backupkit.FileData;
import org.backupkit.FileMeta;
import org.backupkit.GeneralCallbacks;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.extension.BackupExtension;
import org.backupkit.extension.BackupExtensionContext;
import org.backupkit.extension.BundleVersion;
import org.backupkit.extension.Scenario;
import org.backupkit.store.BackupReport;
import org.backupkit.store.KeepRules;
import org.backupkit.store.Progress;
import org.backupkit.store.PruneReport;
import org.backupkit.store.RestoreOptions;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.Snapshot;
import org.backupkit.store.SnapshotStore;
import org.backupkit.store.VerifyReport;
import org.jspecify.annotations.Nullable;

/**
 * A program outside of this project that uses every public signature, with the exact types and no
 * exception but the declared ones. That it compiles is the test; it is not run.
 */
@SuppressWarnings("try") // some resources are opened and not used
final class EverySignature {
  private EverySignature() {}

  static void service(Path path) throws BackupException {
    try (BackupService usual = BackupService.connect();
        BackupService named = BackupService.connect(path);
        BackupService own = BackupService.embedded(path)) {
      CompletableFuture<FileData> all = usual.getLocalCapabilities();
      AsyncCallback<FileData> callback = EverySignature::take;
      usual.getLocalCapabilities(callback);
      CompletableFuture<FileData> some =
          usual.getLocalCapabilities(List.of(new IncrementalBackupTime("a", 0L)));
      String info = usual.getBackupInfo("a");
      boolean timed = usual.updateTimer("a", 1);
      boolean paced = usual.updateSendRate("a", 1);
      String version = usual.getBackupVersion();
      long pid = usual.servicePid();
      boolean alive = usual.isAlive();
      AutoCloseable closed = usual;
    }
  }

  private static void take(@Nullable BackupException error, @Nullable FileData data) {
    if (data != null) {
      Fd fd = data.fd();
      data.close();
      AutoCloseable closed = data;
    }
  }

  static final class Listener implements GeneralCallbacks {
    @Override
    public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {}

    @Override
    public void onFileReadyBatch(FileBatch files) {
      int size = files.size();
      files.forEach(this::onFileReady);
    }

    @Override
    public void onBundleBegin(@Nullable BackupException error, String bundleName) {}

    @Override
    public void onBundleEnd(@Nullable BackupException error, String bundleName) {}

    @Override
    public void onAllBundlesEnd(@Nullable BackupException error) {}

    @Override
    public void onBackupServiceDied() {}

    @Override
    public void onResultReport(String bundleName, String result) {}

    @Override
    public void onProcess(String bundleName, String process) {}

    @Override
    public void onBackupSizeReport(String report) {}
  }

  static final GeneralCallbacks DEFAULTS = new GeneralCallbacks() {};

  static void backup(BackupService service, Executor executor) throws BackupException {
    List<String> names = List.of("a");
    List<IncrementalBackupTime> times = List.of();
    AsyncCallback<Void> callback = (error, nothing) -> {};
    try (SessionBackup session = new SessionBackup(service, DEFAULTS);
        SessionBackup other = new SessionBackup(service, DEFAULTS, executor)) {
      session.appendBundles(names, callback);
      CompletableFuture<Void> appended = session.appendBundles(names);
      appended = session.appendBundles(names, names);
      CompletableFuture<Void> sized = session.getBackupDataSize(true, times);
      CompletableFuture<FileData> here = session.getLocalCapabilities();
      int cancelled = session.cancel("a");
      CompletableFuture<Boolean> cleaned = session.cleanBundleTempDir("a");
      CompletableFuture<String> compatible = session.getCompatibilityInfo("a", "");
      CompletableFuture<Void> released = session.release();
      AutoCloseable closed = session;
    }
  }

  static void restore(BackupService service, Executor executor, Fd fd) throws BackupException {
    List<String> names = List.of("a");
    FileMeta meta = new FileMeta("a", "b");
    AsyncCallback<Void> callback = (error, nothing) -> {};
    try (SessionRestore session = new SessionRestore(service, DEFAULTS);
        SessionRestore other = new SessionRestore(service, DEFAULTS, executor)) {
      session.appendBundles(fd, names, callback);
      CompletableFuture<Void> done = session.appendBundles(fd, names);
      done = session.appendBundles(fd, names, names);
      session.getFileHandle(meta, callback);
      done = session.getFileHandle(meta);
      done = session.getFileHandles("a", names);
      session.publishFile(meta, callback);
      done = session.publishFile(meta);
      CompletableFuture<FileData> here = session.getLocalCapabilities();
      int cancelled = session.cancel("a");
      CompletableFuture<Boolean> cleaned = session.cleanBundleTempDir("a");
      CompletableFuture<String> compatible = session.getCompatibilityInfo("a", "");
      CompletableFuture<Void> released = session.release();
      AutoCloseable closed = session;
    }
    String bundle = meta.bundleName();
    String uri = meta.uri();
  }

  static void incremental(BackupService service, Executor executor, Fd fd) throws BackupException {
    IncrementalBackupData.Builder builder = IncrementalBackupData.builder("a");
    builder = builder.lastIncrementalTime(1L).manifestFd(fd).parameters("{}").priority(1);
    IncrementalBackupData data = builder.build();
    String name = data.bundleName();
    long time = data.lastIncrementalTime();
    @Nullable Fd manifest = data.manifestFd();
    String parameters = data.parameters();
    int priority = data.priority();
    try (IncrementalBackupSession session = new IncrementalBackupSession(service, DEFAULTS);
        IncrementalBackupSession other =
            new IncrementalBackupSession(service, DEFAULTS, executor)) {
      CompletableFuture<Void> done = session.appendBundles(List.of(data));
      done = session.appendBundles(List.of(data), List.of("{}"));
      IncrementalBackupTime last = new IncrementalBackupTime("a", 0L);
      done = session.getBackupDataSize(false, List.of(last));
      String lastName = last.bundleName();
      long lastTime = last.lastIncrementalTime();
      CompletableFuture<FileData> here = session.getLocalCapabilities();
      int cancelled = session.cancel("a");
      CompletableFuture<Boolean> cleaned = session.cleanBundleTempDir("a");
      CompletableFuture<String> compatible = session.getCompatibilityInfo("a", "");
      CompletableFuture<Void> released = session.release();
      AutoCloseable closed = session;
    }
  }

  static void files(BackupFile file, Path path) throws IOException {
    String bundle = file.bundleName();
    String uri = file.uri();
    Fd fd = file.fd();
    @Nullable Fd manifest = file.manifestFd();
    file.close();
    AutoCloseable closed = file;
    OpenOption[] options = {StandardOpenOption.READ};
    Fd opened = Fd.open(path, options);
    Fd adopted = Fd.adopt(opened.number());
    int number = adopted.detach();
    boolean open = opened.isOpen();
    long count = opened.size();
    count = opened.transferTo(adopted);
    count = opened.copyTo(path);
    count = opened.copyFrom(path);
    byte[] bytes = opened.readAllBytes();
    try (FileInputStream in = opened.newInputStream();
        FileOutputStream out = opened.newOutputStream();
        SeekableByteChannel channel = opened.newByteChannel()) {
      opened.close();
      closed = opened;
    }
  }

  static int errors(BackupException error) {
    IOException general = error;
    int code = error.code();
    ErrorCode named = error.error();
    @Nullable String bundle = error.bundleName();
    @Nullable String uri = error.uri();
    code = named.code();
    String text = named.message();
    return switch (named) {
      case PERMISSION_DENIED, NOT_SYSTEM_APP, PARAMETER -> 1;
      case NOT_ADDED, EXTENSION_START_FAILED, TIMED_OUT, EXTENSION_DIED -> 2;
      case PACK_FAILED, EXTENSION_THREW, UNPACK_FAILED -> 3;
      case CANCELLED, CANCEL_NOT_BEGUN, CANCEL_NOT_FOUND, SESSION_CONFLICT, IPC -> 4;
      case NOT_PERMITTED, IO, OUT_OF_MEMORY, INVALID_ARGUMENT, NO_SPACE, UNKNOWN -> 5;
    };
  }

  static final class Extension extends BackupExtension {
    @Override
    protected void onBackup() throws Exception {
      BackupExtensionContext context = context();
    }

    @Override
    protected String onBackupEx(String backupInfo) throws Exception {
      return super.onBackupEx(backupInfo);
    }

    @Override
    protected void onRestore(BundleVersion version) throws Exception {
      long code = version.code();
      String name = version.name();
    }

    @Override
    protected String onRestoreEx(BundleVersion version, String restoreInfo) throws Exception {
      return super.onRestoreEx(new BundleVersion(1L, ""), restoreInfo);
    }

    @Override
    protected String onProcess() {
      return super.onProcess();
    }

    @Override
    protected String onGetBackupInfo() {
      return super.onGetBackupInfo();
    }

    @Override
    protected String getBackupCompatibilityInfo(String extInfo) {
      return super.getBackupCompatibilityInfo(extInfo);
    }

    @Override
    protected String getRestoreCompatibilityInfo(String extInfo) {
      return super.getRestoreCompatibilityInfo(extInfo);
    }

    @Override
    protected void onRelease(Scenario scenario) throws Exception {
      boolean known = scenario == Scenario.BACKUP || scenario == Scenario.RESTORE;
    }

    static void main() {
      BackupExtension.run(new Extension());
    }
  }

  static void store(BackupService service, Path path) throws IOException {
    List<String> names = List.of("a");
    Progress progress = event -> {};
    SnapshotStore store = SnapshotStore.open(path);
    BackupReport backup = store.backup(service, names, progress);
    backup = store.backupFull(service, names, progress);
    RestoreReport restore = store.restore(service, names, progress);
    restore = store.restore(service, Map.of("a", ""), RestoreOptions.defaults(), progress);
    VerifyReport verified = store.verify(100, progress);
    List<Snapshot> snapshots = store.snapshots();
    PruneReport pruned = store.prune(KeepRules.last(1));
  }
}
