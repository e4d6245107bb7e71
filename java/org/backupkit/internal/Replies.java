package org.backupkit.internal;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;

/** What becomes of the service's replies on their way to callers. Thread-safe. */
public final class Replies {
  // As long as one is there it keeps our class loader.
  private static final long IDLE_THREAD_SECONDS = 1;

  // Where futures of callers complete: what they hang on those may block, so each has a thread.
  private static final Executor THREADS =
      new ThreadPoolExecutor(
          0,
          Integer.MAX_VALUE,
          IDLE_THREAD_SECONDS,
          TimeUnit.SECONDS,
          new SynchronousQueue<>(),
          task -> SerialExecutor.daemon(task, "backupkit-reply"));

  private Replies() {}

  /**
   * Turns a reply into what a caller gets: completed on a thread that may be blocked.
   *
   * @param <T> what the caller gets
   * @param reply the reply
   * @param undo called with a result that the caller no longer wants
   * @return the caller's future
   */
  public static <T extends @Nullable Object> CompletableFuture<T> forCaller(
      CompletableFuture<T> reply, Consumer<T> undo) {
    return forCaller(reply, undo, THREADS);
  }

  static <T extends @Nullable Object> CompletableFuture<T> forCaller(
      CompletableFuture<T> reply, Consumer<T> undo, Executor threads) {
    CompletableFuture<T> result = new CompletableFuture<>();
    reply.whenComplete(
        (value, error) -> {
          Runnable completion =
              () -> {
                if (error != null) {
                  result.completeExceptionally(failure(error));
                } else if (!result.complete(value)) {
                  undo.accept(value);
                }
              };
          try {
            threads.execute(completion);
          } catch (Throwable e) {
            completion.run(); // the JVM has no thread left: here is better than never
          }
        });
    return result;
  }

  /**
   * The failure in a future's outcome.
   *
   * @param error as a future gives it
   * @return the failure itself
   */
  public static BackupException failure(Throwable error) {
    Throwable cause = error;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof BackupException known) {
      return known;
    }
    BackupException unknown = new BackupException(ErrorCode.UNKNOWN, String.valueOf(cause));
    unknown.initCause(cause);
    return unknown;
  }
}
