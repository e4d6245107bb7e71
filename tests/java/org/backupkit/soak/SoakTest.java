package org.backupkit.soak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Some sessions of the soak. */
@Timeout(120)
class SoakTest {
  private static final int SESSIONS = 25;

  @TempDir Path directory;

  @Test
  void allDataAreOldOrNew_andNothingIsLeftOver() throws Exception {
    long seed = Long.getLong("backupkit.seed", System.nanoTime());
    System.out.println("SoakTest: -Dbackupkit.seed=" + seed);
    List<String> wrong = new ArrayList<>();
    try (SoakRun run = new SoakRun(directory, seed)) {
      for (int i = 0; i < SESSIONS; i++) {
        wrong.addAll(run.session());
      }
      assertEquals(List.of(), wrong);
      assertTrue(run.isWell(), run.summary());
    }
  }
}
