package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.store.BackupOptions;

/** A full backup, synced, beside programs that write the same data elsewhere. */
record BackupDuel(BenchTree tree, BackupOptions options, List<Way> peers) implements Duel {
  static Duel of(
      Path directory, Shape shape, Scale scale, BackupOptions options, Program... programs)
      throws IOException {
    BenchTree tree = new BenchTree(directory.resolve("device"), shape, scale.files());
    return new BackupDuel(
        tree,
        options,
        List.of(programs).stream().map(each -> each.writing(tree.sandbox())).toList());
  }

  @Override
  public void ours(Path fresh) throws IOException {
    tree.backUp(fresh.resolve("store"), options);
  }
}
