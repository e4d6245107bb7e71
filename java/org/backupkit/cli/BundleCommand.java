package org.backupkit.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.backupkit.internal.NativeLibrary;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Keeps the bundle files of a device root. */
@Command(
    name = "bundle",
    description = "Adds, lists and removes the bundles of a device root, and explains their rules.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND")
final class BundleCommand implements Runnable {
  @Spec private @Nullable CommandSpec spec;

  @Override
  public void run() {
    throw wrong("One of add, list, remove and explain is missing");
  }

  @Command(
      name = "add",
      description = "Adds a bundle, or replaces its file.",
      mixinStandardHelpOptions = true)
  int add(
      @Parameters(paramLabel = "NAME", description = "The bundle's name.") String name,
      @Mixin DeviceRoot root,
      @Option(
              names = "--data",
              paramLabel = "DIR",
              required = true,
              description = "The directory with the app's data.")
          Path data,
      @Option(
              names = "--include",
              paramLabel = "G",
              description = "What to back up, a wildcard; everything, if none is given.")
          @Nullable List<String> includes,
      @Option(names = "--exclude", paramLabel = "G", description = "What to leave out, a wildcard.")
          @Nullable List<String> excludes,
      @Option(names = "--version-code", paramLabel = "N", defaultValue = "1") long versionCode,
      @Option(names = "--version-name", paramLabel = "S", defaultValue = "1.0") String versionName)
      throws IOException {
    if (!name.matches("(?!\\.)[A-Za-z0-9._-]{1,127}")) {
      throw wrong("\"" + name + "\" is not a bundle name: letters, digits, '.', '_' and '-'");
    }
    Path top = root.directory().toRealPath();
    Path sandbox = Connection.directory(data).toRealPath();
    String place =
        sandbox.startsWith(top) && !sandbox.equals(top)
            ? top.relativize(sandbox).toString()
            : sandbox.toString();
    ObjectNode bundle = CapabilityFile.MAPPER.createObjectNode();
    bundle.put("name", name).put("versionCode", versionCode).put("versionName", versionName);
    bundle.put("extensionName", "BackupExtension").put("needToInstall", false);
    bundle.put("sandbox", place);
    ObjectNode backup = bundle.putObject("backup").put("allowToBackupRestore", true);
    fill(backup.putArray("includes"), includes == null ? List.of("*") : includes);
    fill(backup.putArray("excludes"), excludes == null ? List.of() : excludes);
    write(file(top, name), bundle);
    return 0;
  }

  @Command(name = "list", description = "Lists the bundles.", mixinStandardHelpOptions = true)
  int list(@Mixin DeviceRoot root) throws IOException {
    Path directory = folder(root.directory());
    if (!Files.isDirectory(directory)) {
      return 0;
    }
    int code = 0;
    List<Path> files;
    try (Stream<Path> found = Files.list(directory)) {
      files = found.filter(file -> file.toString().endsWith(".json")).sorted().toList();
    }
    for (Path file : files) {
      try {
        JsonNode bundle = CapabilityFile.MAPPER.readTree(Files.readAllBytes(file));
        System.out.printf(
            "%-40s %-12s %s%n",
            bundle.path("name").asText(),
            bundle.path("versionName").asText(),
            bundle.path("sandbox").asText());
      } catch (JsonProcessingException e) {
        System.err.println(
            "backupkit: warning: \"" + file + "\" is not valid JSON: " + e.getOriginalMessage());
        code = Main.PARTIAL;
      }
    }
    return code;
  }

  @Command(
      name = "remove",
      description = "Removes a bundle's file; its data stays.",
      mixinStandardHelpOptions = true)
  int remove(
      @Parameters(paramLabel = "NAME", description = "The bundle's name.") String name,
      @Mixin DeviceRoot root)
      throws IOException {
    Path directory = root.directory();
    if (name.contains("/") || !Files.deleteIfExists(file(directory, name))) {
      throw new IOException("The device root \"" + directory + "\" has no bundle \"" + name + "\"");
    }
    return 0;
  }

  @Command(
      name = "explain",
      description = "Says which rule takes a path into a bundle's backup, or leaves it out.",
      mixinStandardHelpOptions = true)
  int explain(
      @Parameters(paramLabel = "NAME", description = "The bundle's name.") String name,
      @Parameters(
              paramLabel = "PATH",
              description = "A path inside its sandbox; with a / at its end, a directory.")
          String path,
      @Mixin DeviceRoot root)
      throws IOException, InterruptedException {
    // The service's own program judges: there is no second opinion on its rules.
    Process judge =
        new ProcessBuilder(
                NativeLibrary.backupd().toString(),
                "--explain",
                root.directory().toString(),
                name,
                path)
            .start();
    judge.getOutputStream().close();
    // Each is some lines: neither fills a pipe.
    String said = text(judge.getInputStream());
    String problem = text(judge.getErrorStream());
    if (judge.waitFor() != 0) {
      throw new IOException(problem);
    }
    System.out.println(said);
    return 0;
  }

  private static String text(InputStream stream) throws IOException {
    return new String(stream.readAllBytes(), StandardCharsets.UTF_8).strip();
  }

  /** Writes a bundle's file so that a reader sees the old one or the new one. */
  static void write(Path file, ObjectNode bundle) throws IOException {
    Files.createDirectories(file.getParent());
    Path written = file.resolveSibling("." + file.getFileName() + ".new");
    Files.write(
        written, CapabilityFile.MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(bundle));
    Files.move(written, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  private static Path folder(Path root) {
    return root.resolve("etc/backupkit/bundles");
  }

  static Path file(Path root, String name) {
    return folder(root).resolve(name + ".json");
  }

  private static void fill(ArrayNode array, List<String> texts) {
    texts.forEach(array::add);
  }

  private ParameterException wrong(String message) {
    return new ParameterException(Objects.requireNonNull(spec).commandLine(), message);
  }
}
