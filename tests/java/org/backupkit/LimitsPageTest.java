package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Every line of LIMITS.md has tests that are there, and says what the source says. */
class LimitsPageTest {
  private static final Path PAGE = Path.of("native/service/LIMITS.md");
  private static final Pattern LINE =
      Pattern.compile("\\| (?!what \\|)(\\w.*?) \\| (.*?) \\| (.*?) ?\\| (.*?) \\| (.*) \\|");
  private static final Pattern CONSTANT = Pattern.compile("`(\\w+)` in (\\S+)");
  private static final Pattern NUMBER = Pattern.compile("([0-9,]+)( [KM]iB)?");
  private static final Pattern TERM = Pattern.compile("(?:size_t\\{)?([0-9'_]+)[UL]*}?");

  @Test
  void everyLineNamesTestsThatExist() throws IOException {
    TestNames.assertNamed(PAGE, LINE, 30);
  }

  @Test
  void everyLimitIsItsConstantsValue() throws IOException {
    List<String> wrong = new ArrayList<>();
    Matcher line = LINE.matcher(Files.readString(PAGE));
    while (line.find()) {
      Matcher constant = CONSTANT.matcher(line.group(3));
      if (!constant.matches()) {
        assertEquals("", line.group(3), line.group(1));
        continue;
      }
      long value = valueOf(constant.group(1), Path.of(constant.group(2)));
      if (value != said(line.group(2))) {
        wrong.add(constant.group(1) + " is " + value + ", not " + line.group(2));
      }
    }
    assertEquals(List.of(), wrong);
  }

  /** What a source gives a constant: a number, perhaps shifted by another. */
  private static long valueOf(String name, Path source) throws IOException {
    Pattern definition = Pattern.compile("\\b" + name + "\\s*=\\s*([^;<]*)(?:<<\\s*(\\w+)\\s*)?;");
    Matcher found = definition.matcher(Files.readString(source));
    assertTrue(found.find(), name + " is not in " + source);
    String shift = found.group(2);
    return term(found.group(1)) << (shift == null ? 0 : term(shift));
  }

  private static long term(String text) {
    Matcher term = TERM.matcher(text.strip());
    assertTrue(term.matches(), text);
    return Long.parseLong(term.group(1).replaceAll("['_]", ""));
  }

  private static long said(String limit) {
    Matcher number = NUMBER.matcher(limit);
    assertTrue(number.matches(), limit);
    long value = Long.parseLong(number.group(1).replace(",", ""));
    String unit = number.group(2);
    if (unit == null) {
      return value;
    }
    return value << (unit.equals(" KiB") ? 10 : 20);
  }
}
