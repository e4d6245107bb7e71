package org.backupkit;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The README's example is Java that compiles. */
class ReadmeExampleTest {
  @TempDir Path output;

  @Test
  void example_compilesWithoutAWarning() throws IOException {
    PageExample.compile("Example", PageExample.in(Path.of("README.md"), "java"), output);
  }
}
