package org.backupkit.bench;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** What can be measured, what it is compared with, and what is to be reached. */
enum BenchCase {
  BACKUP_SMALL(new Peer("tar cf, sync -f", Target.ratio(0.65))),
  RESTORE_SMALL(new Peer("tar xf, sync -f", Target.ratio(0.65))),
  NOCHANGE_SMALL(
      new Peer("rsync -an", Target.ratio(0.35)), new Peer("a bare walk", Target.ratio(1.6))),
  BACKUP_BIG(new Peer("cp, sync -f", Target.ratio(1.25))),
  START(new Peer("a bare JVM", Target.seconds(0.35)));

  /** The most that the ratio of the medians, or our median in seconds, should be. */
  record Target(double most, boolean isRatio) {
    static Target ratio(double most) {
      return new Target(most, true);
    }

    static Target seconds(double most) {
      return new Target(most, false);
    }
  }

  /** What it is compared with, and what is to be reached beside that. */
  record Peer(String name, Target target) {}

  private final List<Peer> peers;

  BenchCase(Peer... peers) {
    this.peers = List.of(peers);
  }

  List<Peer> peers() {
    return peers;
  }

  /** Makes what all ways need, in a directory that is empty. */
  Duel prepare(Path directory, int files) throws Exception {
    return switch (this) {
      case BACKUP_SMALL -> BackupDuel.small(directory, files);
      case RESTORE_SMALL -> RestoreDuel.of(directory, files);
      case NOCHANGE_SMALL -> new NoChangeDuel(directory, files);
      case BACKUP_BIG -> BackupDuel.big(directory);
      case START -> StartDuel.of(directory);
    };
  }

  /** As it is named on the command line. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
