package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The statements of the interface, tests/conformance/seed.json, and the tests that prove them. They
 * run in the same build, which fails with them; here it fails when one is missing or disabled.
 */
class SeedTest {
  private static final Set<String> KINDS =
      Set.of(
          "function",
          "overload",
          "callback",
          "type",
          "parameter",
          "range",
          "order",
          "code",
          "return");

  record Row(String section, String kind, String statement, String test) {
    @Override
    public String toString() {
      return section + ": " + statement;
    }
  }

  static List<Row> rows() throws IOException {
    return new ObjectMapper()
        .readValue(Path.of("tests/conformance/seed.json").toFile(), new TypeReference<>() {});
  }

  @ParameterizedTest
  @MethodSource("rows")
  void aStatementHasATest(Row row) throws Exception {
    assertTrue(KINDS.contains(row.kind()), row.kind());
    String[] name = row.test().split("#");
    Class<?> type = Class.forName("org.backupkit." + name[0]);
    assertTrue(type.getSimpleName().endsWith("Test"), "surefire runs it");
    Method method = type.getDeclaredMethod(name[1]);
    assertNotNull(method.getAnnotation(Test.class), row.test());
    assertEquals(0, type.getAnnotationsByType(Disabled.class).length, row.test() + " is disabled");
    assertEquals(
        0, method.getAnnotationsByType(Disabled.class).length, row.test() + " is disabled");
  }

  @Test
  void noStatementIsMadeTwice() throws Exception {
    Set<String> seen = new HashSet<>();
    for (Row row : rows()) {
      assertTrue(seen.add(row.toString()), row.toString());
    }
  }

  @Test
  void theReadmesTableIsThatOfTheStatements() throws Exception {
    Map<String, Integer> counts = new LinkedHashMap<>();
    rows().forEach(row -> counts.merge(row.section(), 1, Integer::sum));
    StringBuilder table = new StringBuilder("| part of the interface | statements |\n|---|---|\n");
    counts.forEach(
        (section, count) ->
            table.append("| ").append(section).append(" | ").append(count).append(" |\n"));
    String readme = Files.readString(Path.of("README.md"));
    int begin = readme.indexOf("<!-- seed -->\n") + "<!-- seed -->\n".length();
    assertEquals(table.toString(), readme.substring(begin, readme.indexOf("<!-- /seed -->")));
  }
}
