package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ErrorCodeTest {
  @Test
  void everyCodeFindsItsConstant() {
    Set<Integer> codes = new HashSet<>();
    for (ErrorCode code : ErrorCode.values()) {
      assertSame(code, ErrorCode.of(code.code()));
      assertFalse(code.message().isEmpty());
      codes.add(code.code());
    }
    assertEquals(ErrorCode.values().length, codes.size());
  }

  @Test
  void anUnknownNumberIsKeptAndCalledUnknown() {
    BackupException failure = new BackupException(77, "odd", "com.example.a", "part.0.tar");
    assertEquals(77, failure.code());
    assertSame(ErrorCode.UNKNOWN, failure.error());
    assertEquals("odd", failure.getMessage());
    assertEquals("com.example.a", failure.bundleName());
    assertEquals("part.0.tar", failure.uri());
  }
}
