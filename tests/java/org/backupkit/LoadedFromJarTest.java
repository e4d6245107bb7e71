package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

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
import org.backupkit.cli.Main;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A program that has nothing of BackupKit but its jar. */
@Timeout(120)
class LoadedFromJarTest {
  private static final String BUNDLE = "com.example.notes";

  @TempDir Path directory;

  @Test
  void libraryAndService_inAJarOnly_work_andLeaveNothingBehind() throws Exception {
    Device device = new Device(directory.resolve("device"));
    device.addBundle(BUNDLE);
    Path temporary = Files.createDirectories(directory.resolve("tmp"));
    Tool.Outcome outcome =
        Tool.run(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xcheck:jni",
                "-Djava.io.tmpdir=" + temporary,
                "-cp",
                classPath(),
                Main.class.getName(),
                "capabilities",
                "--json",
                "--root",
                device.root().toString()));
    assertEquals(0, outcome.status(), outcome.output());
    assertFalse(outcome.output().contains("WARNING"), outcome.output());
    String last = outcome.output().lines().reduce("", (before, line) -> line);
    JsonNode bundles = new ObjectMapper().readTree(last).path("bundleInfos");
    assertEquals(List.of(BUNDLE), bundles.findValuesAsText("name"), last);
    try (Stream<Path> left = Files.list(temporary)) {
      assertArrayEquals(new Object[0], left.toArray());
    }
  }

  /** Our jar and those that ours needs; no folder, where natives could be found in place. */
  private String classPath() throws Exception {
    List<String> paths = new ArrayList<>(List.of(makeJar().toString()));
    for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
      if (path.endsWith(".jar")) {
        paths.add(path);
      }
    }
    return String.join(File.pathSeparator, paths);
  }

  private Path makeJar() throws Exception {
    Path classes =
        Path.of(BackupService.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    Path jar = directory.resolve("backupkit.jar");
    try (OutputStream out = Files.newOutputStream(jar);
        JarOutputStream entries = new JarOutputStream(out);
        Stream<Path> files = Files.walk(classes)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        entries.putNextEntry(new JarEntry(classes.relativize(file).toString()));
        Files.copy(file, entries);
      }
    }
    return jar;
  }
}
