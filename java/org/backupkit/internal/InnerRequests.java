package org.backupkit.internal;

import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.backupkit.BackupService;
import org.backupkit.FileData;
import org.jspecify.annotations.Nullable;

/**
 * What our own packages ask of a service and its interface does not have; they have no other way
 * into a service. Nothing here blocks. Thread-safe.
 */
public final class InnerRequests {
  private static volatile @Nullable Way way;

  private InnerRequests() {}

  /** The way into a service. The caller closes each file. */
  public interface Way {
    /**
     * Asks for the capability file without sizes.
     *
     * @param service who is asked
     * @param times of whom
     * @return the file
     */
    CompletableFuture<FileData> capabilities(BackupService service, byte[] times);

    /**
     * Asks what the service counts.
     *
     * @param service who is asked
     * @return OpenMetrics text
     */
    CompletableFuture<FileData> metrics(BackupService service);
  }

  /**
   * Takes the way.
   *
   * @param opened the way
   */
  public static void open(Way opened) {
    way = opened;
  }

  /**
   * Asks for the capability file without sizes, for which a service would walk the data of every
   * bundle.
   *
   * @param service who is asked
   * @param times of whom, as {@link ListWriter} has it; empty for every bundle
   * @return the file, which the caller closes
   */
  public static CompletableFuture<FileData> capabilities(BackupService service, byte[] times) {
    return way().capabilities(service, times);
  }

  /**
   * Asks what the service counts.
   *
   * @param service who is asked
   * @return OpenMetrics text, which the caller closes
   */
  public static CompletableFuture<FileData> metrics(BackupService service) {
    return way().metrics(service);
  }

  private static Way way() {
    // There is none without a service, whose class has opened it.
    return Objects.requireNonNull(way);
  }
}
