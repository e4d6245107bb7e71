package org.backupkit.interop;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.backupkit.Tool;

/**
 * What other programs cannot. GNU tar 1.34 takes no hard links of what is neither file nor symlink,
 * and no hole of a file whose blocks suffice for its size. libarchive 3.6.2 gets the fraction of a
 * time before 1970 wrong, and a user past 31 bits in an ACL; it takes no hard links of devices, and
 * unpacks neither an attribute with `=` or `%` in its name, nor the time of the directory that it
 * unpacks into.
 */
enum Program {
  TAR("(?!)", "/(char|fifo)\\b|sparse/(attribute-block|nothing-(1|4096))\\b"),
  BSDTAR(
      "^\\. d |^\\S+ \\./$|times/\\S*(1901|1960|1969)-|acls/far-user|attributes/odd-names",
      "times/\\S*(1901|1960|1969)-|acls/far-user|/char\\b");

  final UnaryOperator<String> unpacks;
  final UnaryOperator<String> packs;

  Program(String cannotUnpack, String cannotPack) {
    unpacks = without(cannotUnpack);
    packs = without(cannotPack);
  }

  /** Runs it where it is installed, with what makes it keep all that it can. */
  void run(Path archive, String... arguments) throws Exception {
    String name = name().toLowerCase(Locale.ROOT);
    Tool.need(name);
    List<String> command = new ArrayList<>(List.of(name, "--numeric-owner"));
    command.addAll(List.of("--xattrs", "--acls", "-f", archive.toString()));
    if (this == TAR) {
      command.addAll(List.of("--xattrs-include=*", "--sparse"));
    }
    command.addAll(List.of(arguments));
    Tool.succeed(command.toArray(String[]::new));
  }

  private static UnaryOperator<String> without(String lines) {
    Predicate<String> known = Pattern.compile(lines).asPredicate().negate();
    return text -> text.lines().filter(known).collect(Collectors.joining("\n"));
  }
}
