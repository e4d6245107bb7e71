package org.backupkit.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.backupkit.BackupService;
import org.backupkit.store.BackupReport;
import org.backupkit.store.BundleResult;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.SnapshotStore;
import picocli.CommandLine.Command;

/** The main job on this machine's real data. */
@Command(
    name = "demo",
    description =
        "Backs up real data of this machine, wipes its copy, restores it, and compares every"
            + " entry.",
    mixinStandardHelpOptions = true)
final class DemoCommand implements Callable<Integer> {
  @Override
  public Integer call() throws IOException {
    Path place = Files.createTempDirectory("backupkit-demo");
    Thread cleaner = new Thread(() -> removeQuietly(place));
    Runtime.getRuntime().addShutdownHook(cleaner);
    try {
      return run(place);
    } finally {
      Trees.remove(place);
    }
  }

  private static int run(Path place) throws IOException {
    Path root = Files.createDirectory(place.resolve("device"));
    DemoData data = new DemoData(root);
    List<String> bundles = data.make(Math.min(600_000_000, place.toFile().getUsableSpace() / 4));
    for (String bundle : bundles) {
      define(root, bundle);
    }
    System.out.printf(
        "The device: %d bundles of this machine's data, %d entries, %s%n",
        bundles.size(), data.entries(), Output.size(data.bytes()));
    SnapshotStore store = SnapshotStore.open(place.resolve("store"));
    try (BackupService service = BackupService.embedded(root)) {
      Output output = new Output(false);
      BackupReport backup = store.backupFull(service, bundles, output);
      if (output.summary("Backed up", backup.bundles(), backup.elapsed()) != 0) {
        return Main.FAILED;
      }
      Path before = Files.createDirectory(place.resolve("before"));
      for (String bundle : bundles) {
        wipe(root.resolve("data").resolve(bundle), before.resolve(bundle));
      }
      System.out.println("Wiped the bundles' data");
      Output again = new Output(false);
      RestoreReport restore = store.restore(service, bundles, again);
      if (again.summary("Restored", restore.bundles(), restore.elapsed()) != 0) {
        return Main.FAILED;
      }
      return compare(before, root.resolve("data"), data, backup, restore);
    }
  }

  /**
   * Puts what was there aside, to compare with, and leaves an empty directory of the same owner.
   */
  private static void wipe(Path sandbox, Path aside) throws IOException {
    Object owner = Files.getAttribute(sandbox, "unix:uid");
    Object group = Files.getAttribute(sandbox, "unix:gid");
    Files.move(sandbox, aside);
    Files.createDirectory(sandbox);
    Files.setAttribute(sandbox, "unix:uid", owner);
    Files.setAttribute(sandbox, "unix:gid", group);
    Files.setPosixFilePermissions(sandbox, Files.getPosixFilePermissions(aside));
  }

  private static int compare(
      Path before, Path after, DemoData data, BackupReport backup, RestoreReport restore)
      throws IOException {
    TreeComparison comparison = TreeComparison.of(before, after);
    comparison.differences().forEach(line -> System.err.println("differs: " + line));
    System.out.printf(
        "Compared %d entries by type, mode, owner, time, content and link target: %s%n",
        comparison.entries(),
        comparison.differences().isEmpty()
            ? "all equal"
            : comparison.differenceCount() + " differences");
    line("Backup", data, backup.elapsed().toNanos() / 1e9, backup.bundles());
    line("Restore", data, restore.elapsed().toNanos() / 1e9, restore.bundles());
    return comparison.differences().isEmpty() ? 0 : Main.FAILED;
  }

  private static void line(String what, DemoData data, double seconds, List<BundleResult> results) {
    System.out.printf(
        Locale.ROOT,
        "%-8s %d files, %s, %.2f s, %.0f MB/s; moved by us %s, shared by descriptor %s%n",
        what,
        data.files(),
        Output.size(data.bytes()),
        seconds,
        data.bytes() / 1e6 / seconds,
        Output.size(results.stream().mapToLong(BundleResult::bytesMoved).sum()),
        Output.size(results.stream().mapToLong(BundleResult::bytesShared).sum()));
  }

  private static void define(Path root, String bundle) throws IOException {
    ObjectNode file = CapabilityFile.MAPPER.createObjectNode();
    file.put("name", bundle).put("versionCode", 1).put("versionName", "1.0");
    file.put("extensionName", "BackupExtension").put("needToInstall", false);
    file.put("sandbox", "data/" + bundle);
    file.putObject("backup").put("allowToBackupRestore", true).putArray("includes").add("*");
    BundleCommand.write(BundleCommand.file(root, bundle), file);
  }

  private static void removeQuietly(Path place) {
    try {
      Trees.remove(place);
    } catch (IOException e) {
      System.err.println("backupkit: \"" + place + "\" could not be removed: " + e.getMessage());
    }
  }
}
