package org.backupkit.internal;

import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import org.backupkit.BackupService;
import org.backupkit.FileData;
import org.jspecify.annotations.Nullable;

/**
 * Asks for the capability file without sizes, for which a service walks the data of every bundle.
 * It is for our own packages, which have no other way into a service. Thread-safe.
 */
public final class Unmeasured {
  private static volatile @Nullable BiFunction<BackupService, byte[], CompletableFuture<FileData>>
      way;

  private Unmeasured() {}

  /**
   * Takes the way to ask.
   *
   * @param asking by a service and times as {@link ListWriter} has them
   */
  public static void open(BiFunction<BackupService, byte[], CompletableFuture<FileData>> asking) {
    way = asking;
  }

  /**
   * Asks. Does not block.
   *
   * @param service who is asked
   * @param times of whom, as {@link ListWriter} has it; empty for every bundle
   * @return the file, which the caller closes
   */
  public static CompletableFuture<FileData> capabilities(BackupService service, byte[] times) {
    // There is none without a service, whose class has opened it.
    return Objects.requireNonNull(way).apply(service, times);
  }
}
