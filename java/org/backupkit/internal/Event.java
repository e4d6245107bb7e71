package org.backupkit.internal;

import org.backupkit.BackupException;
import org.jspecify.annotations.Nullable;

/** Something that the service said. Whoever takes an event owns the descriptors in it. */
public sealed interface Event {
  /**
   * The descriptors that came with the event.
   *
   * @return raw numbers, not to be changed
   */
  default int[] fds() {
    return new int[0];
  }

  /**
   * The answer to one request.
   *
   * @param request its number
   * @param error why it failed, or null
   * @param value what it gives, or ""
   * @param fds what it gives
   */
  record Reply(int request, @Nullable BackupException error, String value, int[] fds)
      implements Event {}

  /**
   * A file, or why there is none.
   *
   * @param sequence to settle it by
   * @param bundle its bundle
   * @param uri its name
   * @param error why there is none, or null
   * @param fds the file, then its manifest if it has one
   */
  record FileReady(
      long sequence, String bundle, String uri, @Nullable BackupException error, int[] fds)
      implements Event {}

  /**
   * A bundle began or was refused.
   *
   * @param bundle the bundle
   * @param error why it was refused, or null
   */
  record BundleBegin(String bundle, @Nullable BackupException error) implements Event {}

  /**
   * A bundle ended.
   *
   * @param bundle the bundle
   * @param error why it failed, or null
   */
  record BundleEnd(String bundle, @Nullable BackupException error) implements Event {}

  /**
   * All bundles of a batch ended.
   *
   * @param error why the session broke, or null
   */
  record AllEnd(@Nullable BackupException error) implements Event {}

  /**
   * A report on a bundle.
   *
   * @param bundle the bundle
   * @param json the report
   */
  record ResultReport(String bundle, String json) implements Event {}

  /**
   * A bundle's progress.
   *
   * @param bundle the bundle
   * @param json the progress
   */
  record Process(String bundle, String json) implements Event {}

  /**
   * How much data bundles have.
   *
   * @param json the report
   */
  record SizeReport(String json) implements Event {}
}
