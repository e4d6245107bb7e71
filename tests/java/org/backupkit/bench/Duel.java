package org.backupkit.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.backupkit.Tool;

/** One piece of work that is done our way and other programs', in turn. */
interface Duel extends Measurement {
  /** A way to do it. */
  @FunctionalInterface
  interface Way {
    /** Does it; a directory that is fresh takes what it makes. */
    void go(Path fresh) throws Exception;

    /** Makes in the directory what has to be there before; not timed. */
    default void prepare(Path fresh) throws Exception {}

    /** Whether this machine can. */
    default boolean isInstalled() {
      return true;
    }
  }

  /** Our way, which is timed; a directory that is fresh takes what it makes. */
  void ours(Path fresh) throws Exception;

  /** The other ways, which are timed, too; in the order of the case's rows. */
  List<Way> peers();

  /** Removes what our way made elsewhere; not timed. */
  default void tidy() throws Exception {}

  @Override
  default List<Sample> round(Path directory) throws Exception {
    double ours = seconds(directory, this::ours);
    tidy();
    List<Sample> samples = new ArrayList<>();
    for (Way peer : peers()) {
      samples.add(new Sample(ours, peer.isInstalled() ? seconds(directory, peer) : null));
    }
    return samples;
  }

  /** Measures a way once, with nothing left to be written before. */
  static double seconds(Path directory, Way way) throws Exception {
    Path fresh = Files.createTempDirectory(directory, "run-");
    way.prepare(fresh);
    sync(directory); // what was made and removed until now
    long start = System.nanoTime();
    way.go(fresh);
    long end = System.nanoTime();
    Bench.empty(fresh);
    return (end - start) / 1e9;
  }

  /** Waits until all is written to the disk. */
  static void sync(Path directory) throws Exception {
    Tool.succeed("sync", "-f", directory.toString());
  }
}
