package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Every line of THREATS.md has tests, and they are there. */
class ThreatsPageTest {
  private static final Path PAGE = Path.of("native/service/THREATS.md");
  private static final Pattern LINE = Pattern.compile("\\| (?!it must not)(\\w.*?) \\| (.*) \\|");
  private static final Pattern NAME = Pattern.compile("`(\\w+\\.\\w+)`");
  private static final Pattern NATIVE =
      Pattern.compile("TEST(?:_[FP])?\\(\\s*(\\w+),\\s*(\\w+)\\)");
  private static final Pattern JAVA = Pattern.compile("void (\\w+)\\(");

  @Test
  void everyLineNamesTestsThatExist() throws IOException {
    Set<String> tests = new HashSet<>();
    tests.addAll(named(Path.of("tests/native"), ".cc", NATIVE));
    tests.addAll(named(Path.of("tests/java"), ".java", JAVA));
    List<String> missing = new ArrayList<>();
    int lines = 0;
    Matcher line = LINE.matcher(Files.readString(PAGE));
    while (line.find()) {
      lines++;
      List<String> named = NAME.matcher(line.group(2)).results().map(r -> r.group(1)).toList();
      assertTrue(!named.isEmpty(), line.group(1));
      named.stream().filter(name -> !tests.contains(name)).forEach(missing::add);
    }
    assertTrue(lines > 20, "the page has tables");
    assertEquals(List.of(), missing);
  }

  // As `Suite.test` or `Class.method`.
  private static List<String> named(Path directory, String ending, Pattern pattern)
      throws IOException {
    List<String> names = new ArrayList<>();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.filter(path -> path.toString().endsWith(ending)).toList()) {
        String className = file.getFileName().toString().replace(ending, "");
        Matcher match = pattern.matcher(Files.readString(file));
        while (match.find()) {
          names.add(
              match.groupCount() == 1
                  ? className + "." + match.group(1)
                  : match.group(1) + "." + match.group(2));
        }
      }
    }
    return names;
  }
}
