package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** A full backup, hashed and synced, beside programs that write the same data elsewhere. */
record BackupDuel(BenchTree tree, List<Way> peers) implements Duel {
  static Duel of(Path directory, Shape shape, int files, Program... programs) throws IOException {
    BenchTree tree = new BenchTree(directory.resolve("device"), shape, files);
    return new BackupDuel(
        tree, List.of(programs).stream().map(each -> each.writing(tree.sandbox())).toList());
  }

  @Override
  public void ours(Path fresh) throws IOException {
    tree.backUp(fresh.resolve("store"));
  }
}
