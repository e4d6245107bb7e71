package org.backupkit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** What the packages say of the programs in them. */
final class PackageTest {
  private static final Path PACKAGE = Path.of("native/package");

  /** Of backupd's arguments those with which it starts itself. */
  private static final Set<String> ITS_OWN =
      Set.of("--extension", "--hook", "--survey", "--freeze");

  @Test
  void theManualOfTheCommand_hasEverySubcommandAndOption() throws IOException {
    String manual = manual("backupkit.1");
    List<String> missing = new ArrayList<>();
    addMissing(new CommandLine(Main.class), "", manual, missing);
    assertEquals(List.of(), missing);
  }

  private static void addMissing(
      CommandLine command, String name, String manual, List<String> missing) {
    CommandSpec spec = command.getCommandSpec();
    boolean isOne = spec.subcommands().isEmpty();
    if (isOne && !Pattern.compile("(?m)^\\.SS " + name + "( |$)").matcher(manual).find()) {
      missing.add(name);
    }
    spec.options().stream()
        .map(OptionSpec::longestName)
        .filter(option -> !Pattern.compile(option + "\\b").matcher(manual).find())
        .forEach(missing::add);
    spec.subcommands()
        .forEach((next, line) -> addMissing(line, (name + " " + next).strip(), manual, missing));
  }

  @Test
  void theManualAndTheCompletionOfTheService_haveEveryOption() throws IOException {
    Set<String> options = new TreeSet<>();
    for (String source : List.of("main.cc", "service/daemon.cc", "service/recovery.cc")) {
      String text = Files.readString(Path.of("native", source));
      options.addAll(optionsIn(text, "\"(--[a-z-]+)\""));
    }
    options.removeAll(ITS_OWN);
    assertEquals(options, optionsIn(manual("backupd.8"), "(?m)^\\.B.* (--[a-z-]+)"));
    assertEquals(
        options, optionsIn(Files.readString(PACKAGE.resolve("backupd.bash")), "(--[a-z-]+)"));
  }

  @Test
  void theVersion_isOne() throws IOException {
    String maven = found(Path.of("pom.xml"), "(?m)^  <version>([0-9.]+)(-SNAPSHOT)?</version>");
    assertEquals(maven, found(Path.of("CMakeLists.txt"), "project\\(BackupKit VERSION ([0-9.]+)"));
  }

  private static String manual(String name) throws IOException {
    return Files.readString(PACKAGE.resolve(name)).replace("\\-", "-");
  }

  private static Set<String> optionsIn(String text, String pattern) {
    Set<String> options = new TreeSet<>();
    Pattern.compile(pattern).matcher(text).results().map(PackageTest::name).forEach(options::add);
    return options;
  }

  private static String name(MatchResult found) {
    return found.group(1);
  }

  private static String found(Path file, String pattern) throws IOException {
    return Pattern.compile(pattern)
        .matcher(Files.readString(file))
        .results()
        .map(PackageTest::name)
        .findFirst()
        .orElseThrow();
  }
}
