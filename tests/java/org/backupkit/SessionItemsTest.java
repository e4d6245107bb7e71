package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class SessionItemsTest {
  @Test
  void aNameSaidTwiceCountsOnce() throws BackupException {
    List<Session.Item> items =
        Session.items(List.of("a", "b", "a"), List.of("{\"n\":1}", "{}", "{\"n\":2}"));
    assertEquals(List.of("a", "b"), items.stream().map(Session.Item::name).toList());
    assertEquals("{\"n\":1}", items.get(0).info());
  }

  @Test
  void anEmptyListANullAndAWrongLengthAreRefused() {
    assertInvalid(() -> Session.items(List.of(), null));
    assertInvalid(() -> Session.items(null, null));
    assertInvalid(() -> Session.items(Arrays.asList("a", null), null));
    assertInvalid(() -> Session.items(List.of("a"), List.of()));
    assertInvalid(() -> Session.items(List.of("a"), List.of("{}", "{}")));
    assertInvalid(() -> Session.items(List.of("a"), List.of("[]")));
    assertInvalid(() -> Session.items(List.of(".a"), null));
  }

  @Test
  void incrementalItemsKeepParametersAndPriority() throws BackupException {
    IncrementalBackupData data =
        IncrementalBackupData.builder("a").parameters("{\"x\":1}").priority(7).build();
    assertEquals(
        List.of(new Session.Item("a", "", "{\"x\":1}", 7)),
        Session.incrementalItems(List.of(data), null));
  }

  @Test
  void anIncrementalNullIs401AndBadParametersAreInvalid() {
    BackupException failure =
        assertThrows(BackupException.class, () -> Session.incrementalItems(null, null));
    assertSame(ErrorCode.PARAMETER, failure.error());
    IncrementalBackupData bad = IncrementalBackupData.builder("a").parameters("[]").build();
    assertInvalid(() -> Session.incrementalItems(List.of(bad), null));
  }

  private static void assertInvalid(Executable call) {
    assertSame(ErrorCode.INVALID_ARGUMENT, assertThrows(BackupException.class, call).error());
  }
}
