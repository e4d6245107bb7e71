package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.backupkit.Tool;
import org.jspecify.annotations.Nullable;

/**
 * The second backup where nothing has changed, beside what finds out the same, and beside a walk
 * that does nothing else: nothing finds it out faster.
 */
final class NoChangeDuel implements Duel {
  private static final Path WALK = Path.of("target/native/build/bare_walk");
  private static final int WALKERS = // as many as a backup walks with
      Math.min(Runtime.getRuntime().availableProcessors(), 4);
  private static final int TABLES = 3; // the snapshot's description, its index and its manifest

  private final BenchTree tree;
  private final Path store;
  private final Path copy;
  private @Nullable Path second;

  NoChangeDuel(Path directory, Scale scale) throws Exception {
    tree = new BenchTree(directory.resolve("device"), Shape.SMALL, scale.files());
    store = directory.resolve("store");
    copy = directory.resolve("copy");
    tree.copyWithoutContent(copy); // rsync looks at names, sizes, modes and times alone
    String differences = Tool.succeed(rsync("-ani"));
    if (!differences.isEmpty()) {
      throw new IllegalStateException("rsync finds a difference: " + differences);
    }
    tree.backUp(store);
  }

  @Override
  public void ours(Path fresh) throws IOException {
    second = BenchTree.snapshot(store, tree.backUp(store));
  }

  @Override
  public List<Way> peers() {
    String[] walk = {
      WALK.toAbsolutePath().toString(), tree.sandbox().toString(), String.valueOf(WALKERS)
    };
    return List.of(fresh -> Tool.succeed(rsync("-an")), fresh -> Tool.succeed(walk));
  }

  /** The next run's backup is to be the second one, too. */
  @Override
  public void tidy() throws Exception {
    if (second != null) {
      try (Stream<Path> files = Files.list(second)) {
        if (files.count() > TABLES) {
          throw new IllegalStateException("something has changed: " + second);
        }
      }
      Bench.remove(second);
      second = null;
    }
  }

  private String[] rsync(String options) {
    return new String[] {"rsync", options, tree.sandbox() + "/", copy + "/"};
  }
}
