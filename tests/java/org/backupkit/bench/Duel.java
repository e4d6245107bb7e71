package org.backupkit.bench;

import java.nio.file.Path;
import java.util.List;

/** One piece of work that is done our way and other programs', in turn. */
interface Duel {
  /** A way to do it. */
  @FunctionalInterface
  interface Way {
    /** Does it; a directory that is fresh takes what it makes. */
    void go(Path fresh) throws Exception;
  }

  /** Our way, which is timed; a directory that is fresh takes what it makes. */
  void ours(Path fresh) throws Exception;

  /** The other ways, which are timed, too; in the order of the case's peers. */
  List<Way> peers();

  /** Removes what our way made elsewhere; not timed. */
  default void tidy() throws Exception {}
}
