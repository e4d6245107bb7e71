package org.backupkit.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.backupkit.Device;
import org.backupkit.ErrorCode;
import org.backupkit.Journal.Note;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Restores of archives that others wrote, whole, broken and hostile, by the real service. */
@Timeout(120)
class ForeignArchiveTest {
  private static final String BUNDLE = "com.example.foreign";
  private static final Path GOLDEN = Path.of("tests/conformance/tar");
  private static final Set<String> WITHOUT_ONE_END =
      Set.of("no_end", "half_end", "concatenated", "zeros_inside");
  // Whose content takes a judge half a minute.
  private static final Set<String> HUGE = Set.of("gnu_sparse_huge", "gnu_sparse_huge_1.0");
  // The directories of which some archives say nothing.
  private static final Predicate<String> SAID =
      Pattern.compile(
              "^\\.(/more|/sparse)? d |^\\.d\\S+ (\\.|more|sparse)/$|^# file: (more|sparse) ")
          .asPredicate()
          .negate();

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private Path outside;
  private ForeignBackup backup;

  @BeforeEach
  void makeADevice() throws Exception {
    Judges.need();
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    outside = Files.createDirectory(sandbox.resolveSibling("outside"));
    Files.writeString(outside.resolve("secret"), "untouched");
    backup = new ForeignBackup(directory.resolve("backup"));
  }

  @AfterEach
  void nothingWasWrittenOutside() throws Exception {
    assertEquals(".\n./secret\n", Judges.seen("find . | sort", outside));
    assertEquals("untouched", Files.readString(outside.resolve("secret")));
    assertEquals("com.example.foreign\noutside\n", Judges.seen("ls -A ..", outside));
    assertEquals("1", Judges.seen("stat -c %h secret", outside).strip());
  }

  static Stream<String> archives() throws IOException {
    try (Stream<Path> files = Files.list(GOLDEN)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".tar"))
          .map(name -> name.substring(0, name.length() - 4))
          .filter(name -> !WITHOUT_ONE_END.contains(name) && !HUGE.contains(name))
          .sorted()
          .toList()
          .stream();
    }
  }

  @ParameterizedTest
  @MethodSource("archives")
  void whatIsRestoredIsWhatItsProgramUnpacks(String name) throws Exception {
    Assumptions.assumeTrue(Device.isRoot(), "the owners in the archives are for root to give");
    Files.copy(GOLDEN.resolve(name + ".tar"), backup.part());
    Path wanted = Files.createDirectory(directory.resolve("wanted"));
    boolean isBsd = name.startsWith("bsd") && !name.equals("bsd_attributes"); // see Program
    Program program = isBsd ? Program.BSDTAR : Program.TAR;
    program.run(backup.part(), "-xp", "-C", wanted.toString());
    assertEquals("", backup.restore(device, BUNDLE).message());
    Judges.assertSame(
        wanted, sandbox, text -> text.lines().filter(SAID).collect(Collectors.joining("\n")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"gnu_v7", "gnu_pax", "gnu_sparse_1.0", "bsd_attributes", "python_gnu"})
  void aBrokenArchiveIsRefusedWithThePlace(String name) throws Exception {
    byte[] whole = Files.readAllBytes(GOLDEN.resolve(name + ".tar"));
    for (int size : List.of(100, 512 + 100, whole.length / 2 + 1, whole.length - 1024 - 1)) {
      assertRefused(Arrays.copyOf(whole, size), "byte \\d+ of the archive: .+");
    }
    byte[] flipped = whole.clone();
    flipped[100] ^= 1; // of the mode
    assertRefused(flipped, "byte 0 of the archive: wrong header checksum");
  }

  @ParameterizedTest
  @ValueSource(strings = {"no_end", "half_end", "concatenated", "zeros_inside"})
  void anArchiveWithoutItsOneEndIsRefused(String name) throws Exception {
    boolean goesOn = name.equals("concatenated") || name.equals("zeros_inside");
    assertRefused(
        Files.readAllBytes(GOLDEN.resolve(name + ".tar")),
        goesOn ? "byte \\d+ of the archive: something follows the end" : "it is cut off");
  }

  @Test
  void noPathLeadsOut() throws Exception {
    Judges.seen("echo new >file; ln -s ../outside link; mkdir sub; echo new >sub/file", directory);
    for (String command :
        List.of(
            "--transform='s,^,../outside/,' file",
            "--transform='s,^,sub/../../outside/,' file",
            "--transform=\"s,^,$PWD/device/data/outside/,\" file",
            "--transform='s,^sub,link,' link sub/file",
            "--transform='s,^file,../outside/secret,h;s,^hard,here,' file hard",
            "--transform='s,^file,link/secret,h;s,^hard,here,' link file hard",
            "--transform='s,^sub,.backup,' sub",
            "--transform='s,^file,.backup,' file")) {
      Judges.seen("[ -e hard ] || ln file hard; tar -cPf backup/part.0.tar " + command, directory);
      Note end = backup.restore(device, BUNDLE);
      assertNotEquals(0, end.code(), command);
      assertEquals(".\n", Judges.seen("find .", sandbox), command + ": " + end.message());
      nothingWasWrittenOutside();
    }
  }

  @Test
  void aLinkThatIsThereIsReplacedAndNotFollowed() throws Exception {
    Judges.seen("ln -s ../outside sub; ln -s ../outside/secret file", sandbox);
    Judges.seen("echo new >file; mkdir sub; echo new >sub/file", directory);
    Judges.seen("tar -cf backup/part.0.tar sub file", directory);
    assertEquals("", backup.restore(device, BUNDLE).message());
    assertEquals("new\n", Files.readString(sandbox.resolve("file")));
    assertEquals("new\n", Files.readString(sandbox.resolve("sub/file")));
  }

  @Test
  void aLinkOfTheArchiveItselfIsNotFollowedWhenADirectoryTakesItsName() throws Exception {
    Judges.seen("ln -s ../outside link; mkdir sub; echo new >sub/file", directory);
    Judges.seen(
        "tar -cPf backup/part.0.tar --transform='s,^sub,link,' --no-recursion link sub sub/file",
        directory);
    assertEquals("", backup.restore(device, BUNDLE).message());
    assertEquals("directory\n", Judges.seen("stat -c %F link", sandbox));
    assertEquals("new\n", Files.readString(sandbox.resolve("link/file")));
  }

  private void assertRefused(byte[] archive, String message) throws Exception {
    Files.write(backup.part(), archive);
    Note end = backup.restore(device, BUNDLE);
    assertEquals(ErrorCode.UNPACK_FAILED.code(), end.code(), end.toString());
    assertTrue(Pattern.compile(message).matcher(end.message()).find(), end.message());
    assertEquals(".\n", Judges.seen("find .", sandbox));
  }
}
