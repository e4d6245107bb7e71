package org.backupkit;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.backupkit.internal.Arguments;
import org.backupkit.internal.BundleInfo;
import org.backupkit.internal.ListWriter;
import org.jspecify.annotations.Nullable;

/** What callers append, checked: each bundle once, in call order. */
final class BundleItems {
  /** One bundle to append; the manifest stays its owner's. */
  record Item(
      String name,
      String source,
      String info,
      String options,
      int priority,
      long lastTime,
      @Nullable Fd manifest) {

    /** The same with a descriptor that is kept open meanwhile, or -1. */
    ListWriter.Item withManifest(int number) {
      return new ListWriter.Item(name, source, info, options, priority, lastTime, number);
    }
  }

  private BundleItems() {}

  /** The items of a list of names; {@code infos} null for none. */
  static List<Item> of(@Nullable List<String> bundles, @Nullable List<String> infos)
      throws BackupException {
    List<String> names = nonEmpty(bundles);
    requireSameLength(names, infos);
    List<Item> items = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < names.size(); i++) {
      String name = Arguments.bundleName(names.get(i));
      BundleInfo info = info(infos, i);
      if (seen.add(name)) {
        items.add(
            new Item(name, info.sourceOf(name), info.appInfo(name), info.options(""), 0, 0, null));
      }
    }
    return items;
  }

  /** The items of an incremental backup; {@code infos} null for none. */
  static List<Item> ofIncremental(
      @Nullable List<IncrementalBackupData> bundles, @Nullable List<String> infos)
      throws BackupException {
    if (bundles == null || bundles.stream().anyMatch(data -> data == null)) {
      throw Arguments.parameter("a null in appendBundles");
    }
    List<IncrementalBackupData> data = nonEmpty(bundles);
    requireSameLength(data, infos);
    List<Item> items = new ArrayList<>();
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < data.size(); i++) {
      IncrementalBackupData one = data.get(i);
      String name = Arguments.bundleName(one.bundleName());
      BundleInfo info = info(infos, i);
      String options = info.options(one.parameters());
      if (seen.add(name)) {
        items.add(
            new Item(
                name,
                name,
                info.appInfo(name),
                options,
                one.priority(),
                one.lastIncrementalTime(),
                one.manifestFd()));
      }
    }
    return items;
  }

  /** A list of times, copied; what is wrong with it is a 401. */
  static List<IncrementalBackupTime> times(@Nullable List<IncrementalBackupTime> dataList)
      throws BackupException {
    if (dataList == null) {
      throw Arguments.parameter("dataList is null");
    }
    List<IncrementalBackupTime> times = new ArrayList<>(dataList);
    for (IncrementalBackupTime time : times) {
      if (time == null) {
        throw Arguments.parameter("a null in dataList");
      }
      Arguments.namedBundle(time.bundleName());
    }
    return times;
  }

  private static <T> List<T> nonEmpty(@Nullable List<T> list) throws BackupException {
    // Copied first: what was checked is what is sent, whatever the caller does to the list.
    List<T> copy = new ArrayList<>(Arguments.present(list, "the list of bundles"));
    if (copy.isEmpty()) {
      throw Arguments.invalid("the list of bundles is empty");
    }
    return copy;
  }

  private static void requireSameLength(List<?> bundles, @Nullable List<String> infos)
      throws BackupException {
    if (infos != null && infos.size() != bundles.size()) {
      throw Arguments.invalid(infos.size() + " infos for " + bundles.size() + " bundles");
    }
  }

  private static BundleInfo info(@Nullable List<String> infos, int index) throws BackupException {
    return infos == null
        ? BundleInfo.NONE
        : BundleInfo.parse(infos.get(index), "infos[" + index + "]");
  }
}
