package org.backupkit.soak;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Damage;
import org.backupkit.Device;
import org.backupkit.ErrorCode;
import org.backupkit.Journal;
import org.backupkit.ServiceProcess;
import org.backupkit.SessionBackup;
import org.backupkit.ShellHook;
import org.backupkit.Tool;
import org.backupkit.store.BackupOptions;
import org.backupkit.store.BundleResult;
import org.backupkit.store.KeepRules;
import org.backupkit.store.Progress;
import org.backupkit.store.RestoreOptions;
import org.backupkit.store.Snapshot;
import org.backupkit.store.SnapshotStore;

/**
 * Sessions of all kinds with one service, chosen by chance. After each, every app's data are wholly
 * old or wholly new, and what was said to be restored is what was there when it was backed up.
 */
final class SoakRun implements AutoCloseable {
  private static final String WITH_HOOK = "com.example.hook";
  private static final String ON_SMALL_DISK = "com.example.small";
  private static final List<Fault> SOME =
      List.of(Fault.NONE, Fault.EXTENSION_KILLED, Fault.HOOK_KILLED, Fault.NO_DESCRIPTORS);
  private static final int MOST_CHANGES = 8;
  private static final int MOST_DELAY = 30_000; // microseconds
  private static final int KEPT = 4;
  private static final int PRUNED_EACH = 20; // sessions
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(60);

  private final Path directory;
  private final Device device;
  private final Path disk;
  private final boolean hasSmallDisk;
  private final Path socket;
  private final ServiceProcess service;
  private final long pid;
  private final SnapshotStore store;
  private final Random random;
  private final List<App> apps = new ArrayList<>();
  private final Map<Fault, Integer> faults = new EnumMap<>(Fault.class);
  private final List<Gauge> gauges = new ArrayList<>();
  private List<String> wrong = new ArrayList<>();
  private int wrongs;
  private int sessions;
  private int failures; // of bundles, as a fault has them

  /** What the service has while nothing is asked of it. */
  private record Gauge(long descriptors, long kibibytes) {}

  SoakRun(Path directory, long seed) throws Exception {
    this.directory = directory;
    random = new Random(seed);
    Device.openToAll(directory);
    device = new Device(directory.resolve("device"));
    device.configure("{\"maxSendRate\": 800, \"packingLimit\": 4096}");
    disk = Files.createDirectory(device.root().resolve("disk"));
    hasSmallDisk = Device.isRoot() && mounted();
    for (String name : List.of("com.example.one", "com.example.two", WITH_HOOK)) {
      apps.add(new App(name, device.addBundle(name), random));
    }
    ShellHook.add(
        device,
        WITH_HOOK,
        Map.of("onBackup", ShellHook.result(""), "onRestore", ShellHook.result("")));
    if (hasSmallDisk) {
      addOnSmallDisk();
    }
    store = SnapshotStore.open(directory.resolve("store"));
    socket = directory.resolve("socket");
    service = ServiceProcess.start(device.root(), socket);
    try (BackupService asked = service.connect()) {
      pid = asked.servicePid();
    }
  }

  private boolean mounted() throws IOException, InterruptedException {
    List<String> mount = List.of("mount", "-t", "tmpfs", "-o", "size=4m", "soak", disk.toString());
    return Tool.run(mount).status() == 0;
  }

  private void addOnSmallDisk() throws IOException {
    Files.writeString(
        device.bundleFile(ON_SMALL_DISK),
        """
        {"name": "%s", "sandbox": "disk/app",
         "backup": {"allowToBackupRestore": true, "includes": ["*"]}}
        """
            .formatted(ON_SMALL_DISK));
    apps.add(
        new App(ON_SMALL_DISK, Files.createDirectory(device.root().resolve("disk/app")), random));
  }

  /** Runs one; gives what was wrong. */
  List<String> session() throws Exception {
    wrong = new ArrayList<>();
    int kind = random.nextInt(20);
    if (kind < 8) {
      backUp();
    } else if (kind < 14) {
      restore();
    } else if (kind < 16) {
      restoreDamaged();
    } else if (kind < 18) {
      leaveEarly();
    } else if (kind < 19) {
      killClient();
    } else {
      fillDisk();
    }
    awaitFree();
    measure();
    if (++sessions % PRUNED_EACH == 0) {
      prune();
    }
    wrongs += wrong.size();
    return wrong;
  }

  private void backUp() throws Exception {
    List<App> chosen = prepare(some(apps));
    Fault fault = any(SOME);
    boolean isFull = random.nextInt(4) == 0;
    BackupOptions options = BackupOptions.defaults().withRate(random.nextBoolean() ? 800 : 200);
    boolean hasActed;
    Map<String, BundleResult> results;
    try (BackupService client = service.connect();
        Saboteur saboteur = saboteur(fault)) {
      CompletableFuture<Void> other = random.nextBoolean() ? ask() : null;
      List<String> names = names(chosen);
      results =
          byBundle(
              isFull
                  ? store.backupFull(client, names, options, Progress.NONE).bundles()
                  : store.backup(client, names, options, Progress.NONE).bundles());
      if (other != null) {
        other.join();
      }
      hasActed = saboteur.hasActed();
    }
    count(hasActed ? fault : Fault.NONE);
    for (App app : chosen) {
      expectNothing(app, app.changedSince(), "its backup has changed it");
      BundleResult result = results.get(app.bundle);
      if (result.succeeded()) {
        app.snapshots.put(result.snapshot(), app.before());
      } else if (hasActed) {
        failures++;
      } else {
        wrong(app, "its backup failed: " + result);
      }
    }
  }

  /** Another client, while a session is open. */
  private CompletableFuture<Void> ask() {
    return CompletableFuture.runAsync(
        () -> {
          try (BackupService client = service.connect()) {
            client.getBackupVersion();
            client.getLocalCapabilities().join().fd().close();
          } catch (IOException e) {
            throw new AssertionError(e);
          }
        });
  }

  private void restore() throws Exception {
    List<App> chosen = prepare(some(withSnapshots(apps)));
    Fault fault = any(SOME);
    restore(chosen, fault, true);
  }

  private void restore(List<App> chosen, Fault fault, boolean mayBeWell) throws Exception {
    if (chosen.isEmpty()) {
      return;
    }
    Map<String, String> ids = new HashMap<>();
    chosen.forEach(app -> ids.put(app.bundle, any(List.copyOf(app.snapshots.keySet()))));
    Path damaged = mayBeWell ? null : damage(ids);
    boolean hasActed;
    Map<String, BundleResult> results = Map.of();
    String why = "";
    try (BackupService client = service.connect();
        Saboteur saboteur = saboteur(fault)) {
      RestoreOptions options = new RestoreOptions(RestoreOptions.Mode.MIRROR);
      results = byBundle(store.restore(client, ids, options, Progress.NONE).bundles());
      hasActed = saboteur.hasActed() || fault == Fault.DISK_FULL;
    } catch (BackupException e) {
      why = e.toString();
      hasActed = false;
    } finally {
      if (damaged != null) {
        Damage.flipAByte(damaged);
      }
    }
    count(damaged != null ? Fault.BACKUP_DAMAGED : hasActed ? fault : Fault.NONE);
    for (App app : chosen) {
      BundleResult result = results.get(app.bundle);
      if (result != null && result.succeeded()) {
        expectNothing(app, app.differsFrom(ids.get(app.bundle)), "it is not what was restored");
        continue;
      }
      expectNothing(app, app.changedSince(), "a restore that failed has changed it");
      if (damaged != null || hasActed) {
        failures++;
      } else {
        wrong(app, "its restore failed: " + (result == null ? why : result));
      }
    }
  }

  private void restoreDamaged() throws Exception {
    List<App> chosen = withSnapshots(apps);
    if (!chosen.isEmpty()) {
      restore(prepare(List.of(any(chosen))), Fault.BACKUP_DAMAGED, false);
    }
  }

  /** Flips a byte of a file of the snapshot. */
  private Path damage(Map<String, String> ids) throws IOException {
    Map.Entry<String, String> only = ids.entrySet().iterator().next();
    Path snapshot = directory.resolve("store").resolve(only.getKey()).resolve(only.getValue());
    try (Stream<Path> files = Files.list(snapshot)) {
      List<Path> full = new ArrayList<>();
      for (Path file : files.sorted().toList()) {
        if (Files.size(file) > 0) {
          full.add(file);
        }
      }
      Path file = any(full);
      Damage.flipAByte(file);
      return file;
    }
  }

  /** A session of which a bundle is cancelled, or that is released while it runs. */
  private void leaveEarly() throws Exception {
    List<App> chosen = prepare(some(apps));
    boolean cancels = random.nextBoolean();
    Journal journal = new Journal();
    try (BackupService client = service.connect();
        SessionBackup session = new SessionBackup(client, journal)) {
      session.appendBundles(names(chosen)).get();
      TimeUnit.MICROSECONDS.sleep(random.nextInt(MOST_DELAY));
      if (cancels) {
        session.cancel(chosen.get(0).bundle);
        journal.awaitAll();
      }
      session.release().get();
    }
    count(cancels ? Fault.CANCELLED : Fault.RELEASED);
    for (App app : chosen) {
      expectNothing(app, app.changedSince(), "its backup has changed it");
      for (Journal.Note end : journal.of(Journal.Kind.END, app.bundle)) {
        boolean isWanted = end.code() == 0 || end.code() == ErrorCode.CANCELLED.code();
        if (!isWanted) {
          wrong(app, "its backup failed: " + end);
        }
      }
    }
  }

  /** A client that dies in a backup or a restore. */
  private void killClient() throws Exception {
    boolean restores = random.nextBoolean();
    List<App> chosen = prepare(some(restores ? withSnapshots(apps) : apps));
    if (chosen.isEmpty()) {
      return;
    }
    List<String> command = new ArrayList<>();
    command.addAll(List.of(Path.of(System.getProperty("java.home"), "bin/java").toString()));
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"));
    command.addAll(List.of(System.getProperty("java.class.path"), "org.backupkit.cli.Main"));
    command.addAll(restores ? List.of("restore", "--mirror", "--from") : List.of("backup", "--to"));
    command.addAll(List.of(directory.resolve("store").toString(), "--socket", socket.toString()));
    command.addAll(names(chosen));
    Process client =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    boolean hasEnded = client.waitFor(400 + random.nextInt(600), TimeUnit.MILLISECONDS);
    client.destroyForcibly().waitFor();
    count(hasEnded ? Fault.NONE : Fault.CLIENT_KILLED);
    awaitFree();
    for (App app : chosen) {
      List<String> changed = app.changedSince();
      if (!restores) {
        expectNothing(app, changed, "its backup has changed it");
        learn(app);
      } else if (!changed.isEmpty()) {
        expectNothing(app, app.differsFrom(newest(app)), "it is neither old nor new");
      }
    }
  }

  /** Takes what a client that has died may have finished. */
  private void learn(App app) throws IOException {
    for (Snapshot snapshot : store.snapshots()) {
      if (snapshot.bundle().equals(app.bundle)) {
        app.snapshots.putIfAbsent(snapshot.id(), app.before());
      }
    }
  }

  private static String newest(App app) {
    return Collections.max(app.snapshots.keySet());
  }

  private void fillDisk() throws Exception {
    List<App> chosen =
        withSnapshots(apps).stream().filter(app -> app.bundle.equals(ON_SMALL_DISK)).toList();
    if (chosen.isEmpty()) {
      return;
    }
    prepare(chosen);
    Path ballast = disk.resolve("ballast");
    int left = random.nextInt(200_000);
    long size = Math.max(0, Files.getFileStore(disk).getUsableSpace() - left);
    Tool.succeed("fallocate", "-l", Long.toString(Math.max(1, size)), ballast.toString());
    try {
      restore(chosen, Fault.DISK_FULL, true);
    } finally {
      Files.delete(ballast);
    }
  }

  private void prune() throws IOException {
    store.prune(KeepRules.last(KEPT));
    Set<String> left = new HashSet<>();
    store.snapshots().forEach(snapshot -> left.add(snapshot.bundle() + "/" + snapshot.id()));
    for (App app : apps) {
      app.snapshots.keySet().removeIf(id -> !left.contains(app.bundle + "/" + id));
    }
  }

  /** Waits until the session that was left has ended in the service, too. */
  private void awaitFree() throws Exception {
    long end = System.nanoTime() + PATIENCE;
    for (; ; ) {
      try (BackupService client = service.connect();
          SessionBackup session = new SessionBackup(client, new Journal())) {
        session.release().get();
        return;
      } catch (BackupException e) {
        if (e.code() != ErrorCode.SESSION_CONFLICT.code()) {
          throw e;
        }
        if (System.nanoTime() > end) {
          throw new AssertionError("the service does not let go of its session", e);
        }
        TimeUnit.MILLISECONDS.sleep(5);
      }
    }
  }

  private void measure() throws IOException {
    long descriptors;
    try (Stream<Path> open = Files.list(Path.of("/proc/" + pid + "/fd"))) {
      descriptors = open.count();
    }
    String status = Files.readString(Path.of("/proc/" + pid + "/status"));
    String resident = status.replaceFirst("(?s).*VmRSS:\\s*(\\d+).*", "$1");
    gauges.add(new Gauge(descriptors, Long.parseLong(resident)));
  }

  private List<App> prepare(List<App> chosen) throws Exception {
    for (App app : chosen) {
      app.prepare(random.nextInt(MOST_CHANGES + 1));
    }
    return chosen;
  }

  private Saboteur saboteur(Fault fault) {
    return new Saboteur(pid, fault, random.nextInt(MOST_DELAY));
  }

  private void count(Fault fault) {
    faults.merge(fault, 1, Integer::sum);
  }

  private void expectNothing(App app, List<String> differences, String what) {
    if (!differences.isEmpty()) {
      wrong(app, what + ": " + differences);
    }
  }

  private void wrong(App app, String what) {
    wrong.add("WRONG in session " + sessions + ", '" + app.bundle + "': " + what);
  }

  private List<App> withSnapshots(List<App> all) {
    return all.stream().filter(app -> !app.snapshots.isEmpty()).toList();
  }

  private List<App> some(List<App> all) {
    List<App> shuffled = new ArrayList<>(all);
    Collections.shuffle(shuffled, random);
    return shuffled.isEmpty() ? shuffled : shuffled.subList(0, 1 + random.nextInt(shuffled.size()));
  }

  private <T> T any(List<T> all) {
    return all.get(random.nextInt(all.size()));
  }

  private static List<String> names(List<App> apps) {
    return apps.stream().map(app -> app.bundle).toList();
  }

  private static Map<String, BundleResult> byBundle(List<BundleResult> results) {
    Map<String, BundleResult> map = new HashMap<>();
    results.forEach(result -> map.put(result.bundle(), result));
    return map;
  }

  /** How it stands. */
  String line() {
    Gauge last = gauges.get(gauges.size() - 1);
    return "%d sessions, %d bundles failed, %d wrong, %s, %d descriptors, %.1f MiB"
        .formatted(
            sessions, failures, wrongs, faults, last.descriptors(), last.kibibytes() / 1024.0);
  }

  /** How it went. */
  String summary() {
    return line()
        + "\nleast descriptors in the first and last quarter: %d, %d"
            .formatted(descriptors(0), descriptors(3))
        + "\nmedian memory in the first and last quarter: %.1f, %.1f MiB"
            .formatted(mebibytes(0), mebibytes(3));
  }

  /** Whether nothing was wrong, and no descriptor is left over. */
  boolean isWell() {
    return wrongs == 0 && descriptors(3) <= descriptors(0);
  }

  private List<Gauge> quarter(int number) {
    int size = gauges.size();
    return gauges.subList(size * number / 4, Math.max(size * (number + 1) / 4, 1));
  }

  private long descriptors(int quarter) {
    return quarter(quarter).stream().mapToLong(Gauge::descriptors).min().orElse(0);
  }

  private double mebibytes(int quarter) {
    List<Long> sorted = quarter(quarter).stream().map(Gauge::kibibytes).sorted().toList();
    return sorted.get(sorted.size() / 2) / 1024.0;
  }

  int sessions() {
    return sessions;
  }

  @Override
  public void close() throws IOException {
    service.close();
    if (hasSmallDisk) {
      Process unmount = new ProcessBuilder("umount", disk.toString()).start();
      unmount.onExit().join();
    }
  }
}
