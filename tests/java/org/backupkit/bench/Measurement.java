package org.backupkit.bench;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a case measures. */
interface Measurement {
  /** A row's values of one round; null where there is nothing to measure. */
  record Sample(@Nullable Double ours, @Nullable Double peer) {
    static Sample of(double ours) {
      return new Sample(ours, null);
    }
  }

  /** Measures all of the case's rows once, in their order; what it makes is below a directory. */
  List<Sample> round(Path directory) throws Exception;
}
