package org.backupkit.store;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.LongAdder;
import org.backupkit.store.Manifest.Row;

/** Tells what a restore would do. Stateless. */
final class Planning {
  private Planning() {}

  /** A plan for one bundle; {@code newest} is the snapshot that stands for what is there. */
  static RestorePlan plan(String bundle, Contents target, Path newest, RestoreOptions options)
      throws IOException {
    Path wanted = target.manifest();
    Path there = wanted == null ? null : Description.read(newest).manifest(newest);
    Map<String, Row> left = there == null ? Map.of() : Manifest.read(there);
    List<String> written = new ArrayList<>();
    List<String> replaced = new ArrayList<>();
    List<String> removed = new ArrayList<>();
    Set<String> others = new HashSet<>();
    LongAdder entries = new LongAdder();
    if (wanted != null) {
      Manifest.each(
          wanted,
          row -> {
            entries.increment();
            Row old = there == null ? row : left.remove(row.path());
            if (old == null) {
              written.add(Manifest.readable(row.path()));
            } else if (!same(row, old) || isNameOf(others, row)) {
              others.add(row.path());
              replaced.add(Manifest.readable(row.path()));
            }
          });
    }
    if (options.mode() == RestoreOptions.Mode.MIRROR) {
      left.keySet().forEach(path -> removed.add(Manifest.readable(path)));
    }
    long bytes = 0;
    for (String name : target.names()) {
      bytes += Files.size(target.path(name));
    }
    String comparedWith = there == null ? "" : newest.getFileName().toString();
    long files = target.names().size();
    return new RestorePlan(
        bundle, target.id(), comparedWith, written, replaced, removed, entries.sum(), files, bytes);
  }

  /** Whether it is a further name, which comes after the first and has no content in its row. */
  private static boolean isNameOf(Set<String> paths, Row row) {
    return row.type().equals("h") && paths.contains(row.target());
  }

  /** Whether two rows speak of the same entry; where it is stored does not matter. */
  private static boolean same(Row one, Row other) {
    return one.type().equals(other.type())
        && one.mode() == other.mode()
        && one.size() == other.size()
        && one.hash().equals(other.hash())
        && one.mtimeNs().equals(other.mtimeNs())
        && one.uid().equals(other.uid())
        && one.gid().equals(other.gid())
        && one.target().equals(other.target())
        && one.xattrs().equals(other.xattrs())
        && one.holes().equals(other.holes());
  }
}
