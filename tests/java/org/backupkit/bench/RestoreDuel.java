package org.backupkit.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A restore into an app that has no data, beside programs' of what they have written. */
record RestoreDuel(Path store, List<Way> peers) implements Duel {
  /** Tar unpacks the parts of our backup: its own archive would not find room beside them. */
  static Duel small(Path directory, Scale scale) throws Exception {
    Path root = directory.resolve("device");
    Path store = directory.resolve("store");
    BenchTree tree = new BenchTree(root, Shape.SMALL, scale.files());
    Path snapshot = BenchTree.snapshot(store, tree.backUp(store));
    Bench.empty(root); // a restore needs room for its data twice; with these it would be too much
    return new RestoreDuel(store, List.of(Program.TAR.restoring(snapshot)));
  }

  static Duel of(Path directory, Shape shape, Scale scale, Program... programs) throws Exception {
    Path root = directory.resolve("device");
    Path store = directory.resolve("store");
    BenchTree tree = new BenchTree(root, shape, scale.files());
    tree.backUp(store);
    List<Way> peers = new ArrayList<>();
    for (Program program : programs) {
      Path written = Files.createDirectory(directory.resolve(program.name()));
      Way writing = program.writing(tree.sandbox());
      if (writing.isInstalled()) {
        writing.prepare(written);
        writing.go(written);
      }
      peers.add(program.restoring(written));
    }
    Bench.empty(root);
    return new RestoreDuel(store, peers);
  }

  @Override
  public void ours(Path fresh) throws Exception {
    new BenchTree(fresh).restore(store);
  }
}
