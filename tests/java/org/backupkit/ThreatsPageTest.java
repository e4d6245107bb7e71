package org.backupkit;

import java.io.IOException;
import java.nio.file.Path;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Every line of THREATS.md has tests, and they are there. */
class ThreatsPageTest {
  private static final Path PAGE = Path.of("native/service/THREATS.md");
  private static final Pattern LINE = Pattern.compile("\\| (?!it must not)(\\w.*?) \\| (.*) \\|");

  @Test
  void everyLineNamesTestsThatExist() throws IOException {
    TestNames.assertNamed(PAGE, LINE, 20);
  }
}
