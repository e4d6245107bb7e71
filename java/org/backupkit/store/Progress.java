package org.backupkit.store;

/** Is told what a backup or restore does while it runs. */
@FunctionalInterface
public interface Progress {
  /** Tells nobody. */
  Progress NONE = event -> {};

  /**
   * Takes one event. Called from the session's thread, one call at a time; a slow call slows the
   * run down.
   *
   * @param event what has just happened
   */
  void on(ProgressEvent event);
}
