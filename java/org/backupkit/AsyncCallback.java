package org.backupkit;

import org.jspecify.annotations.Nullable;

/**
 * Receives the outcome of one call.
 *
 * @param <T> what the call gives
 */
@FunctionalInterface
public interface AsyncCallback<T> {
  /**
   * Called once, on the executor of the session or connection that was asked.
   *
   * @param error why the call failed; null when it succeeded
   * @param data what the call gives; null when it failed or gives nothing
   */
  void done(@Nullable BackupException error, @Nullable T data);
}
