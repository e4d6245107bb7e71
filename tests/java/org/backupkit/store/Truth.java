package org.backupkit.store;

import java.util.Random;

/** How much the tests do that look for the truth outside of us. */
final class Truth {
  private Truth() {}

  /** Whether all is asked for, by {@code BACKUPKIT_TRUTH=all} in the environment. */
  static boolean isWhole() {
    return System.getenv("BACKUPKIT_TRUTH") != null;
  }

  /** All of them where all is asked for, else as many as the suite has time for. */
  static int count(int all, int usual) {
    return isWhole() ? all : usual;
  }

  /** The chance of a test, which says how it can be repeated. */
  static Random random(Class<?> test) {
    long seed = Long.getLong("backupkit.seed", System.nanoTime());
    System.out.println(test.getSimpleName() + ": -Dbackupkit.seed=" + seed);
    return new Random(seed);
  }
}
