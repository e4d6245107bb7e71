package org.backupkit;

import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/** Does not return from the first file, of one bundle or of any, until it may. */
final class Holding extends Journal {
  private final @Nullable String bundle;
  final CountDownLatch held = new CountDownLatch(1);
  final CountDownLatch goOn = new CountDownLatch(1);

  Holding() {
    this(null);
  }

  Holding(@Nullable String bundle) {
    this.bundle = bundle;
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    if (bundle == null || (file != null && file.bundleName().equals(bundle))) {
      held.countDown();
      try {
        goOn.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
    super.onFileReady(error, file);
  }
}
