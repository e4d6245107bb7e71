package org.backupkit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ArgumentsTest {
  @ParameterizedTest
  @ValueSource(strings = {"a", "com.example.notes", "A_b-9.", "com.example.notes:1", "_"})
  void goodBundleNamesPass(String name) throws BackupException {
    assertEquals(name, Arguments.bundleName(name));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", ".", "..", ".a", "a/b", "a b", "a:", "a:x", ":1", "a:1:2", "ä", "a\n"})
  void badBundleNamesAreRefused(String name) {
    assertInvalid(() -> Arguments.bundleName(name));
  }

  @Test
  void aBundleNameHasAtMost127Characters() throws BackupException {
    assertEquals("a".repeat(127), Arguments.bundleName("a".repeat(127)));
    assertInvalid(() -> Arguments.bundleName("a".repeat(128)));
    assertInvalid(() -> Arguments.bundleName(null));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "part.0.tar", "0123456789abcdef", "a_B.9"})
  void goodUrisPass(String uri) throws BackupException {
    assertEquals(uri, Arguments.uri(uri));
  }

  @ParameterizedTest
  @ValueSource(strings = {".", "..", "a/b", "a-b", "a b", "\u0000"})
  void badUrisAreRefused(String uri) {
    assertInvalid(() -> Arguments.uri(uri));
  }

  @Test
  void aParameterOutsideItsRangeIsA401() throws BackupException {
    assertEquals(0, Arguments.withinRange(0, 800, "rate"));
    assertEquals(800, Arguments.withinRange(800, 800, "rate"));
    for (int value : new int[] {-1, 801, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
      BackupException failure =
          assertThrows(BackupException.class, () -> Arguments.withinRange(value, 800, "rate"));
      assertSame(ErrorCode.PARAMETER, failure.error());
      assertTrue(failure.getMessage().contains("rate is " + value), failure.getMessage());
    }
  }

  private static void assertInvalid(Executable call) {
    assertSame(ErrorCode.INVALID_ARGUMENT, assertThrows(BackupException.class, call).error());
  }
}
