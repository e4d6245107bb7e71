package org.backupkit.bench;

import java.nio.file.Path;

/** One piece of work that is done our way and another program's, in turn. */
interface Duel {
  /** Our way, which is timed; a directory that is fresh takes what it makes. */
  void ours(Path fresh) throws Exception;

  /** The other way, which is timed, too. */
  void peers(Path fresh) throws Exception;

  /** Removes what our way made elsewhere; not timed. */
  default void tidy() throws Exception {}
}
