package org.backupkit.store;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.backupkit.store.Manifest.Row;
import org.jspecify.annotations.Nullable;

/** Tells what a restore would do. Stateless. */
final class Planning {
  private Planning() {}

  /** A plan for one bundle; {@code newest} is the snapshot that stands for what is there. */
  static RestorePlan plan(String bundle, Contents target, Path newest, RestoreOptions options)
      throws IOException {
    Map<String, Row> wanted = rows(target.manifest());
    Map<String, Row> there =
        wanted == null ? null : rows(Description.read(newest).manifest(newest));
    List<String> written = new ArrayList<>();
    List<String> replaced = new ArrayList<>();
    List<String> removed = new ArrayList<>();
    if (wanted != null && there != null) {
      for (Row row : wanted.values()) {
        Row old = there.get(row.path());
        if (old == null) {
          written.add(Manifest.readable(row.path()));
        } else if (!same(row, old)) {
          replaced.add(Manifest.readable(row.path()));
        }
      }
      for (Row old : there.values()) {
        if (options.mode() == RestoreOptions.Mode.MIRROR && !wanted.containsKey(old.path())) {
          removed.add(Manifest.readable(old.path()));
        }
      }
    }
    long bytes = 0;
    for (String name : target.names()) {
      bytes += Files.size(target.path(name));
    }
    String comparedWith = there == null ? "" : newest.getFileName().toString();
    long entries = wanted == null ? 0 : wanted.size();
    long files = target.names().size();
    return new RestorePlan(
        bundle, target.id(), comparedWith, written, replaced, removed, entries, files, bytes);
  }

  private static @Nullable Map<String, Row> rows(@Nullable Path manifest) throws IOException {
    return manifest == null ? null : Manifest.read(manifest);
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
        && one.xattrs().equals(other.xattrs());
  }
}
