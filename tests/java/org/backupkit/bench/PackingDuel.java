package org.backupkit.bench;

import java.nio.file.Path;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Tool;

/** The packing of small files alone: nobody keeps the parts, as nobody syncs tar's archive. */
record PackingDuel(BenchTree tree) implements Measurement {
  static PackingDuel of(Path directory, Scale scale) throws Exception {
    BenchTree tree = new BenchTree(directory.resolve("device"), Shape.SMALL, scale.files());
    tree.device().configure("{\"maxSendRate\": 0}");
    return new PackingDuel(tree);
  }

  @Override
  public List<Sample> round(Path directory) throws Exception {
    Duel.sync(directory);
    try (BackupService service = BackupService.embedded(tree.device().root())) {
      double ours = TimedBackup.full(service, List.of(BenchTree.BUNDLE)).seconds();
      return List.of(new Sample(ours, Duel.seconds(directory, this::pack)));
    }
  }

  private void pack(Path fresh) throws Exception {
    Tool.succeed(
        "tar", "cf", fresh.resolve("tree.tar").toString(), "-C", tree.sandbox().toString(), ".");
  }
}
