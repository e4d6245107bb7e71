package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.Tool;

/** A full backup, hashed and synced, beside a program that writes the same data elsewhere. */
record BackupDuel(BenchTree tree, Peer peer) implements Duel {
  /** The command that writes the tree's data into a directory. */
  interface Peer {
    String[] command(Path to);
  }

  static Duel small(Path directory, int files) throws IOException {
    BenchTree tree = new BenchTree(directory.resolve("device"));
    tree.fillSmall(files);
    return new BackupDuel(tree, to -> tree.tar(to.resolve("tree.tar")));
  }

  static Duel big(Path directory) throws IOException {
    BenchTree tree = new BenchTree(directory.resolve("device"));
    String big = tree.fillBig().toString();
    return new BackupDuel(tree, to -> new String[] {"cp", "--reflink=never", big, to.toString()});
  }

  @Override
  public void ours(Path fresh) throws IOException {
    tree.backUp(fresh.resolve("store"));
  }

  @Override
  public List<Way> peers() {
    return List.of(this::write);
  }

  private void write(Path fresh) throws Exception {
    Tool.succeed(peer.command(fresh));
    Tool.succeed("sync", "-f", fresh.toString());
  }
}
