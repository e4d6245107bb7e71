package org.backupkit;

import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/** Does not return from its first file until it may. */
final class Holding extends Journal {
  final CountDownLatch held = new CountDownLatch(1);
  final CountDownLatch goOn = new CountDownLatch(1);

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    held.countDown();
    try {
      goOn.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    super.onFileReady(error, file);
  }
}
