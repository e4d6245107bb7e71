package org.backupkit.store;

/** Is told what a backup, restore or verify does while it runs. */
@FunctionalInterface
public interface Progress {
  /** Tells nobody. */
  Progress NONE = event -> {};

  /**
   * Takes one event. Called one at a time, in a backup and a restore from the session's thread; a
   * slow call slows the run down, and what it throws goes to the thread's uncaught handler and
   * stops nothing.
   *
   * @param event what has just happened
   */
  void on(ProgressEvent event);
}
