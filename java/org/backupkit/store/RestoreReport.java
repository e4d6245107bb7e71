package org.backupkit.store;

import java.time.Duration;
import java.util.List;

/**
 * How a restore went.
 *
 * @param bundles one result for each bundle that was asked for, in the order of the call
 * @param elapsed the time that it took
 */
public record RestoreReport(List<BundleResult> bundles, Duration elapsed) {
  /** Makes a report whose list nobody can change. */
  public RestoreReport {
    bundles = List.copyOf(bundles);
  }

  /**
   * Whether every bundle succeeded.
   *
   * @return true when no result has a code
   */
  public boolean succeeded() {
    return bundles.stream().allMatch(BundleResult::succeeded);
  }
}
