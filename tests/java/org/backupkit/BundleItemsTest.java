package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class BundleItemsTest {
  @Test
  void aNameSaidTwiceCountsOnce() throws BackupException {
    List<BundleItems.Item> items =
        BundleItems.of(List.of("a", "b", "a"), List.of("{\"restoreMode\":\"mirror\"}", "{}", "{}"));
    assertEquals(List.of("a", "b"), items.stream().map(BundleItems.Item::name).toList());
    assertEquals("{\"restoreMode\":\"mirror\"}", items.get(0).options());
  }

  @Test
  void anEmptyListANullAndAWrongLengthAreRefused() {
    assertInvalid(() -> BundleItems.of(List.of(), null));
    assertInvalid(() -> BundleItems.of(null, null));
    assertInvalid(() -> BundleItems.of(Arrays.asList("a", null), null));
    assertInvalid(() -> BundleItems.of(List.of("a"), List.of()));
    assertInvalid(() -> BundleItems.of(List.of("a"), List.of("{}", "{}")));
    assertInvalid(() -> BundleItems.of(List.of("a"), List.of("[]")));
    assertInvalid(() -> BundleItems.of(List.of(".a"), null));
  }

  @Test
  void incrementalItemsKeepParametersAndPriority() throws BackupException {
    IncrementalBackupData data =
        IncrementalBackupData.builder("a")
            .parameters("{\"integrity\":\"none\"}")
            .priority(7)
            .lastIncrementalTime(5)
            .build();
    assertEquals(
        List.of(new BundleItems.Item("a", "a", "", "{\"integrity\":\"none\"}", 7, 5, null)),
        BundleItems.ofIncremental(List.of(data), null));
  }

  @Test
  void anIncrementalNullIs401AndBadParametersAreInvalid() {
    BackupException failure =
        assertThrows(BackupException.class, () -> BundleItems.ofIncremental(null, null));
    assertSame(ErrorCode.PARAMETER, failure.error());
    IncrementalBackupData bad = IncrementalBackupData.builder("a").parameters("[]").build();
    assertInvalid(() -> BundleItems.ofIncremental(List.of(bad), null));
  }

  private static void assertInvalid(Executable call) {
    assertSame(ErrorCode.INVALID_ARGUMENT, assertThrows(BackupException.class, call).error());
  }
}
