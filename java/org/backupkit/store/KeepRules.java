package org.backupkit.store;

/**
 * Which snapshots of each bundle are kept; one that a rule keeps stays. Days and weeks are those of
 * UTC, weeks begin on Monday, and those without a snapshot do not count.
 *
 * @param last how many of the newest
 * @param daily of how many days the newest
 * @param weekly of how many weeks the newest
 */
public record KeepRules(int last, int daily, int weekly) {
  /**
   * Makes rules.
   *
   * @throws IllegalArgumentException for a negative number, and when all are 0: nothing would stay
   */
  public KeepRules {
    if (last < 0 || daily < 0 || weekly < 0 || last + daily + weekly == 0) {
      throw new IllegalArgumentException(
          "Some snapshots must be kept: last " + last + ", daily " + daily + ", weekly " + weekly);
    }
  }

  /**
   * Keeps the newest.
   *
   * @param count how many of each bundle
   * @return the rules
   */
  public static KeepRules last(int count) {
    return new KeepRules(count, 0, 0);
  }
}
