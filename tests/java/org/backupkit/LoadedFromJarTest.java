package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import java.util.zip.Deflater;
import org.backupkit.cli.Main;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.scijava.nativelib.NativeLibraryUtil;

/** A program that has nothing of BackupKit but its jar. */
@Timeout(120)
class LoadedFromJarTest {
  private static final String BUNDLE = "com.example.notes";
  private static final int MACHINE = 18; // e_machine, elf(5)

  @TempDir Path directory;

  @Test
  void libraryAndService_inAJarOnly_work_andLeaveNothingBehind() throws Exception {
    Path temporary = Files.createDirectories(directory.resolve("tmp"));
    Tool.Outcome outcome = Tool.run(command(true, "-Xcheck:jni", "-Djava.io.tmpdir=" + temporary));
    assertFalse(outcome.output().contains("WARNING"), outcome.output());
    assertWorks(outcome);
    try (Stream<Path> left = Files.list(temporary)) {
      assertArrayEquals(new Object[0], left.toArray());
    }
  }

  @Test
  void aFolderOfTheLibraryPath_isEnough() throws Exception {
    assertWorks(Tool.run(command(false, "-Djava.library.path=/nowhere::" + natives())));
  }

  @Test
  void theFileThatIsNamed_isEnough() throws Exception {
    Path library = natives().resolve(System.mapLibraryName("backupkit"));
    assertWorks(Tool.run(command(false, "-Dbackupkit.library=" + library)));
  }

  @Test
  void theFileThatIsNamed_isTheOnlyOne() throws Exception {
    assertFails(
        Tool.run(command(true, "-Dbackupkit.library=/nowhere/it.so")),
        "-Dbackupkit.library",
        "/nowhere/it.so");
  }

  @Test
  void anotherLibraryOfThatName_givesWayToTheJar() throws Exception {
    Path other = Path.of(System.getProperty("java.home"), "lib", System.mapLibraryName("prefs"));
    Path stale = Files.createDirectories(directory.resolve("stale"));
    Files.copy(other, stale.resolve(System.mapLibraryName("backupkit")));
    assertWorks(Tool.run(command(true, "-Djava.library.path=" + stale)));
  }

  @Test
  void whereNothingCanBeLoaded_oneMessageHasEveryAttempt() throws Exception {
    Path foreign = Files.createDirectories(directory.resolve("foreign"));
    Path library = foreign.resolve(System.mapLibraryName("backupkit"));
    byte[] bytes = Files.readAllBytes(natives().resolve(library.getFileName()));
    bytes[MACHINE] ^= 0x7f; // of an ELF header: which processor it is for
    Files.write(library, bytes);
    assertFails(
        Tool.run(command(false, "-Djava.library.path=" + foreign)),
        "-Dbackupkit.library",
        foreign.toString(),
        "the class path has no /natives/");
  }

  @Test
  void aFolderForTemporaryFilesWithoutExecution_isNamedAsTheReason() throws Exception {
    Tool.need("unshare", "mount");
    Assumptions.assumeTrue(Device.isRoot(), "only root may mount");
    Assumptions.assumeFalse(isEmulated(), "qemu-user loads libraries from where none may be run");
    Path temporary = Files.createDirectories(directory.resolve("noexec"));
    List<String> inside = new ArrayList<>(List.of("unshare", "--mount", "sh", "-c"));
    inside.add("mount -t tmpfs -o noexec none " + temporary + " && exec \"$@\"");
    inside.add("sh");
    inside.addAll(command(true, "-Djava.io.tmpdir=" + temporary));
    assertFails(Tool.run(inside), "-Djava.io.tmpdir", temporary.toString(), "map segment");
  }

  /** Whether this machine's own programs are another processor's than this JVM. */
  private static boolean isEmulated() throws Exception {
    String processor = Tool.succeed("uname", "-m").strip().replace("x86_64", "amd64");
    return !processor.equals(System.getProperty("os.arch"));
  }

  private static void assertWorks(Tool.Outcome outcome) throws Exception {
    assertEquals(0, outcome.status(), outcome.output());
    String last = outcome.output().lines().reduce("", (before, line) -> line);
    JsonNode bundles = new ObjectMapper().readTree(last).path("bundleInfos");
    assertEquals(List.of(BUNDLE), bundles.findValuesAsText("name"), last);
  }

  private static void assertFails(Tool.Outcome outcome, String... reasons) {
    assertNotEquals(0, outcome.status(), outcome.output());
    for (String reason : reasons) {
      assertTrue(outcome.output().contains(reason), outcome.output());
    }
  }

  /** Lists the bundles of a device. */
  private List<String> command(boolean withNatives, String... options) throws Exception {
    Device device = new Device(directory.resolve("device"));
    device.addBundle(BUNDLE);
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", classPath(withNatives), Main.class.getName()));
    command.addAll(List.of("capabilities", "--json", "--root", device.root().toString()));
    return command;
  }

  private static Path classes() throws Exception {
    return Path.of(BackupService.class.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  private static Path natives() throws Exception {
    String platform =
        NativeLibraryUtil.getPlatformLibraryPath(NativeLibraryUtil.DEFAULT_SEARCH_PATH);
    return classes().resolve(platform);
  }

  /** Our jar and those that ours needs; no folder, where natives could be found in place. */
  private String classPath(boolean withNatives) throws Exception {
    List<String> paths = new ArrayList<>(List.of(makeJar(withNatives).toString()));
    for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (path.endsWith(".jar")) {
        paths.add(path);
      }
    }
    return String.join(File.pathSeparator, paths);
  }

  private Path makeJar(boolean withNatives) throws Exception {
    Path classes = classes();
    Path jar = directory.resolve("backupkit.jar");
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream entries = new JarOutputStream(out);
        Stream<Path> files = Files.walk(classes)) {
      entries.setLevel(Deflater.NO_COMPRESSION);
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (!withNatives && file.startsWith(classes.resolve("natives"))) {
          continue;
        }
        entries.putNextEntry(new JarEntry(classes.relativize(file).toString()));
        Files.copy(file, entries);
      }
    }
    return jar;
  }
}
