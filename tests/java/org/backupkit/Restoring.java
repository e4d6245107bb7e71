package org.backupkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** The listener of a restore of one bundle, whose files it takes from a directory. */
public final class Restoring extends Journal {
  private final Path store;
  private final String bundle;
  private final List<String> uris;
  private final AtomicInteger missing;
  private volatile @Nullable SessionRestore session;

  public Restoring(Path store, String bundle) throws IOException {
    this.store = store;
    this.bundle = bundle;
    try (var files = Files.list(store)) {
      this.uris = files.map(file -> file.getFileName().toString()).toList();
    }
    this.missing = new AtomicInteger(uris.size());
  }

  /** Hands everything over in a session that this is the listener of. */
  public void run(SessionRestore opened, Fd capabilities, List<String> infos) throws Exception {
    session = opened;
    opened.appendBundles(capabilities, List.of(bundle), infos).get();
    for (String uri : uris) {
      // The bundle may have ended already; how, its end says.
      opened.getFileHandle(new FileMeta(bundle, uri)).exceptionally(late -> null).get();
    }
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    SessionRestore opened = session;
    if (file == null || opened == null) {
      super.onFileReady(error, file);
      return;
    }
    note(Kind.FILE, file.bundleName(), file.uri(), null);
    try (file) {
      file.fd().copyFrom(store.resolve(file.uri()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (missing.decrementAndGet() == 0) {
      opened.publishFile(new FileMeta(bundle, ""));
    }
  }
}
