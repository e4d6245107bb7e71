package org.backupkit.internal;

import org.backupkit.BackupException;

/** Raw descriptors that came with something and that nobody wants. */
public final class Descriptors {
  private Descriptors() {}

  /**
   * Closes descriptors that nobody wants.
   *
   * @param fds the descriptors
   */
  public static void discard(int... fds) {
    for (int fd : fds) {
      try {
        Bridge.close(fd);
      } catch (BackupException e) {
        // It is gone in any case, and nothing was written through it.
      }
    }
  }
}
