package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.Tool;
import org.backupkit.store.BackupOptions;

/**
 * A full backup, hashed and synced, beside a program that writes the same data elsewhere, and, of a
 * big file, beside itself without the hash.
 */
record BackupDuel(BenchTree tree, List<Way> peers) implements Duel {
  static Duel small(Path directory, int files) throws IOException {
    BenchTree tree = new BenchTree(directory.resolve("device"));
    tree.fillSmall(files);
    return new BackupDuel(tree, List.of(to -> write(to, tree.tar(to.resolve("tree.tar")))));
  }

  static Duel big(Path directory) throws IOException {
    BenchTree tree = new BenchTree(directory.resolve("device"));
    String big = tree.fillBig().toString();
    BackupOptions unhashed = BackupOptions.defaults().withIntegrity(false);
    return new BackupDuel(
        tree,
        List.of(
            to -> write(to, "cp", "--reflink=never", big, to.toString()),
            to -> tree.backUp(to.resolve("store"), unhashed)));
  }

  @Override
  public void ours(Path fresh) throws IOException {
    tree.backUp(fresh.resolve("store"));
  }

  private static void write(Path to, String... command) throws Exception {
    Tool.succeed(command);
    Tool.succeed("sync", "-f", to.toString());
  }
}
