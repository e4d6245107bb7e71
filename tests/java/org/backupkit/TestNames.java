package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The tests as pages name them: {@code Suite.test} or {@code Class.method}. */
final class TestNames {
  private static final Pattern NAME = Pattern.compile("`(\\w+\\.\\w+)`");
  private static final Pattern NATIVE =
      Pattern.compile("TEST(?:_[FP])?\\(\\s*(\\w+),\\s*(\\w+)\\)");
  private static final Pattern JAVA = Pattern.compile("void (\\w+)\\(");

  private TestNames() {}

  private static Set<String> all() throws IOException {
    Set<String> tests = new HashSet<>();
    tests.addAll(named(Path.of("tests/native"), ".cc", NATIVE));
    tests.addAll(named(Path.of("tests/java"), ".java", JAVA));
    return tests;
  }

  /** Checks that each line of a page names tests that are there, in its last group. */
  static void assertNamed(Path page, Pattern line, int least) throws IOException {
    Set<String> tests = all();
    List<String> missing = new ArrayList<>();
    int lines = 0;
    for (MatchResult found : line.matcher(Files.readString(page)).results().toList()) {
      lines++;
      List<String> named = in(found.group(found.groupCount()));
      assertFalse(named.isEmpty(), found.group(1));
      named.stream().filter(name -> !tests.contains(name)).forEach(missing::add);
    }
    assertTrue(lines > least, "the page has tables");
    assertEquals(List.of(), missing);
  }

  private static List<String> in(String text) {
    return NAME.matcher(text).results().map(name -> name.group(1)).toList();
  }

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
