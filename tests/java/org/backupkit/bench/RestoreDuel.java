package org.backupkit.bench;

import java.nio.file.Path;
import java.util.List;
import org.backupkit.Tool;

/** A restore into an app that has no data, beside tar's of the same parts. */
record RestoreDuel(Path store, Path snapshot) implements Duel {
  static Duel of(Path directory, int files) throws Exception {
    Path root = directory.resolve("device");
    Path store = directory.resolve("store");
    BenchTree tree = new BenchTree(root);
    tree.fillSmall(files);
    Path snapshot = BenchTree.snapshot(store, tree.backUp(store));
    Bench.empty(root); // a restore needs room for its data twice; with these it would be too much
    return new RestoreDuel(store, snapshot);
  }

  @Override
  public void ours(Path fresh) throws Exception {
    new BenchTree(fresh).restore(store);
  }

  @Override
  public List<Way> peers() {
    return List.of(this::unpack);
  }

  private void unpack(Path fresh) throws Exception {
    String script = "for part in \"$1\"/*.tar; do tar xf \"$part\" -C \"$2\" || exit; done";
    Tool.succeed("sh", "-c", script, "sh", snapshot.toString(), fresh.toString());
    Tool.succeed("sync", "-f", fresh.toString());
  }
}
