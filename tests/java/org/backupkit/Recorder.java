package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Notes what is told; keeps the files in a directory if it has one. */
class Recorder implements GeneralCallbacks {
  private final BlockingQueue<String> events = new LinkedBlockingQueue<>();
  private final @Nullable Path store;

  Recorder() {
    this(null);
  }

  Recorder(@Nullable Path store) {
    this.store = store;
  }

  String next() throws InterruptedException {
    String event = events.poll(30, TimeUnit.SECONDS);
    assertNotNull(event, "nothing happened");
    return event;
  }

  /** What was told and not yet asked for. */
  List<String> left() {
    return List.copyOf(events);
  }

  void awaitSuccess(String bundle) throws InterruptedException {
    assertEquals("begin " + bundle + " 0", next());
    assertEquals("end " + bundle + " 0", next());
    assertEquals("all 0", next());
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    if (file == null) {
      events.add("file " + error);
      return;
    }
    try (file) {
      if (store != null) {
        file.fd().copyTo(store.resolve(file.uri()));
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void onBundleBegin(@Nullable BackupException error, String bundleName) {
    events.add("begin " + bundleName + " " + code(error));
  }

  @Override
  public void onBundleEnd(@Nullable BackupException error, String bundleName) {
    events.add("end " + bundleName + " " + code(error));
  }

  @Override
  public void onAllBundlesEnd(@Nullable BackupException error) {
    events.add("all " + code(error));
  }

  private static String code(@Nullable BackupException error) {
    return error == null ? "0" : String.valueOf(error.code());
  }
}
