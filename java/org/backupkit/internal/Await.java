package org.backupkit.internal;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** Waits for a future in a caller that knows IOException only. */
public final class Await {
  private Await() {}

  /**
   * Gives the future's value; an interrupt ends the wait and stays set.
   *
   * @param <T> what the future gives
   * @param future what is waited for
   * @return its value
   * @throws IOException the future's own failure, or one that has it as its cause
   */
  public static <T> T value(CompletableFuture<T> future) throws IOException {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("Interrupted while waiting for the backup service");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException cause) {
        throw cause;
      }
      throw new IOException(e.getCause());
    }
  }
}
