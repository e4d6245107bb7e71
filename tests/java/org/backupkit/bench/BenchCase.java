package org.backupkit.bench;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.backupkit.store.BackupOptions;

/** What can be measured, what it is compared with, and what is to be reached. */
enum BenchCase {
  BACKUP_SMALL(
      "a backup of small files (1 to 16 KiB) into a store, hashed and synced",
      backup(Shape.SMALL, Program.TAR),
      Row.beside("tar cf, sync -f").ratio(0.65)),
  RESTORE_SMALL(
      "their restore into an app without data",
      RestoreDuel::small,
      Row.beside("tar xf, sync -f").ratio(0.65)),
  NOCHANGE_SMALL(
      "their second backup, nothing having changed",
      NoChangeDuel::new,
      Row.beside("rsync -an").ratio(0.35),
      Row.beside("a bare walk").ratio(1.6)),
  BACKUP_BIG(
      "a backup of one file of 1 GiB",
      backup(Shape.BIG, Program.CP),
      Row.beside("cp, sync -f").ratio(1.25)),
  NOHASH_BIG(
      "the same without its hash",
      (directory, scale) ->
          BackupDuel.of(
              directory,
              Shape.BIG,
              scale,
              BackupOptions.defaults().withIntegrity(false),
              Program.CP),
      Row.beside("cp, sync -f").ratio(1.05)),
  BACKUP_MIXED(
      "a backup of a fifth as many files of 200 bytes to 50 MB",
      backup(
          Shape.MIXED,
          Program.TAR,
          Program.BSDTAR,
          Program.CP,
          Program.RSYNC,
          Program.RESTIC,
          Program.BORG),
      Row.beside("tar cf, sync -f"),
      Row.beside("bsdtar cf, sync -f"),
      Row.beside("cp -r, sync -f"),
      Row.beside("rsync -a, sync -f"),
      Row.beside("restic backup, sync -f"),
      Row.beside("borg create, sync -f")),
  RESTORE_MIXED(
      "their restore",
      restore(Shape.MIXED, Program.TAR, Program.BSDTAR, Program.RESTIC, Program.BORG),
      Row.beside("tar xf, sync -f"),
      Row.beside("bsdtar xf, sync -f"),
      Row.beside("restic restore, sync -f"),
      Row.beside("borg extract, sync -f")),
  BACKUP_DEEP(
      "a backup of chains of a hundred directories, a file of up to 1 KiB in each",
      backup(Shape.DEEP, Program.TAR),
      Row.beside("tar cf, sync -f")),
  RESTORE_DEEP("their restore", restore(Shape.DEEP, Program.TAR), Row.beside("tar xf, sync -f")),
  BACKUP_WIDE(
      "a backup of one directory with as many files of up to 1 KiB",
      backup(Shape.WIDE, Program.TAR),
      Row.beside("tar cf, sync -f")),
  RESTORE_WIDE("its restore", restore(Shape.WIDE, Program.TAR), Row.beside("tar xf, sync -f")),
  START(
      "the command up to a service's answer",
      (directory, scale) -> StartDuel.of(directory),
      Row.beside("a bare JVM").most(0.35)),
  PACK_SMALL("the packing of small files alone", PackingDuel::of, Row.beside("tar cf").ratio(0.40)),
  WAITS(
      "the waits for a private service and a bundle of ten small files",
      ServiceGauges::waits,
      Row.of("service ready", "ms").most(15),
      Row.of("append to onBundleBegin", "ms").most(15),
      Row.of("append to the first file", "ms").most(30)),
  MEMORY(
      "the most memory that the processes have had in a backup of small files",
      ServiceGauges::memory,
      Row.of("backupd, idle", "MiB").most(4),
      Row.of("backupd, under load", "MiB").most(8),
      Row.of("extension", "MiB").most(24)),
  DESCRIPTORS(
      "the descriptors that come to a listener",
      ServiceGauges::descriptors,
      Row.beside("a socket alone, one by one").in("/s").least(100_000),
      Row.beside("a socket alone, 16 in a message").in("/s")),
  CONNECTIONS(
      "sessions of one small file while a tenth as many others connect, with a hundredth open",
      NativeGauge::connecting,
      Row.of("a session alone", "ms"),
      Row.of("a session beside them", "ms"),
      Row.of("the longest", "ms").most(50),
      Row.of("more memory of the service", "MiB").most(1),
      Row.of("descriptors left over", "fds").most(0)),
  COPY(
      "the ways to copy a file of 1 GB, without the disk",
      NativeGauge::copying,
      Row.of("reflink", "GB/s"),
      Row.of("copy_file_range", "GB/s"),
      Row.of("sendfile", "GB/s"),
      Row.of("splice", "GB/s"),
      Row.of("read and write", "GB/s")),
  HASH(
      "the hash of a file's content",
      NativeGauge::hashing,
      Row.of("in the processor's cache", "GB/s"),
      Row.of("a file of 1 GB, with its reading", "GB/s")),
  WALK_SMALL("the walk of a backup alone", NativeGauge::walking, Row.beside("a bare walk")),
  BRIDGE(
      "a call into native code",
      (directory, scale) -> round -> CallGauge.bridge(scale),
      Row.beside("an empty native").in("ns"),
      Row.of("longer than an empty native", "ns").most(50)),
  EVENT(
      "a file's way from the socket to its descriptor in Java, and that one's end",
      (directory, scale) -> round -> CallGauge.event(scale),
      Row.of("a file", "us").most(2)),
  SEND_RATE("how exact the limit of files per second is", SendRateGauge::of, SendRateGauge.rows()),
  PARALLEL("three bundles at once", ParallelDuel::of, Row.beside("one after another").ratio(0.6)),
  GROWTH(
      "the cost of an entry in a tree ten times as large, with --million a hundred times",
      GrowthGauge::of,
      grown("full backup", "ten times"),
      more("full backup", "ten times"),
      grown("no change", "ten times"),
      more("no change", "ten times"),
      grown("full backup", "100 times").unless("only with --million"),
      more("full backup", "100 times").unless("only with --million"),
      grown("no change", "100 times").unless("only with --million"),
      more("no change", "100 times").unless("only with --million")),
  CROSSOVER(
      "backups of 64 files of one size each, passed, beside the same packed",
      CrossoverDuel::of,
      CrossoverDuel.rows());

  /** Makes what the rounds of a case need, in a directory that is empty. */
  @FunctionalInterface
  interface Preparation {
    Measurement prepare(Path directory, Scale scale) throws Exception;
  }

  private final String description;
  private final Preparation preparation;
  private final List<Row> rows;

  BenchCase(String description, Preparation preparation, Row... rows) {
    this.description = description;
    this.preparation = preparation;
    this.rows = List.of(rows);
  }

  private static Row grown(String backup, String much) {
    return Row.beside("an entry, " + backup + ", " + much + " as many").in("us").ratio(1.1);
  }

  private static Row more(String backup, String much) {
    return Row.of("more memory, " + backup + ", " + much + " as many", "MiB").most(4);
  }

  private static Preparation backup(Shape shape, Program... programs) {
    return (directory, scale) ->
        BackupDuel.of(directory, shape, scale, BackupOptions.defaults(), programs);
  }

  private static Preparation restore(Shape shape, Program... programs) {
    return (directory, scale) -> RestoreDuel.of(directory, shape, scale, programs);
  }

  static Stream<BenchCase> all() {
    return Stream.of(values());
  }

  String description() {
    return description;
  }

  List<Row> rows() {
    return rows;
  }

  /** Makes what all rounds need, in a directory that is empty. */
  Measurement prepare(Path directory, Scale scale) throws Exception {
    return preparation.prepare(directory, scale);
  }

  /** Whether it is meant by a name on the command line: its own, or the last word of it. */
  boolean isMeant(String name) {
    return toString().equals(name) || toString().endsWith("-" + name);
  }

  /** As it is named on the command line. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
