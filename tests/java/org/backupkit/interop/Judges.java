package org.backupkit.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.backupkit.Tool;

/**
 * Programs that are not ours say whether two trees are the same. Those that name entries by their
 * path pass over the directory {@code deep} at the top, which has paths longer than a system call
 * takes.
 */
public final class Judges {
  private static final int MOST_LINES = 10;

  // What each prints of the tree that it works in.
  private static final Map<String, String> JUDGES = new LinkedHashMap<>();

  static {
    JUDGES.put(
        "find: type, mode, owner, size, time, number of names and target",
        """
        find . \\( -type d -printf '%p %y %m %U:%G %T@\\0' \\) -o \\
          -printf '%p %y %m %U:%G %s %T@ %n %l\\0' | sort -z | tr '\\0\\n' '\\n?' | cat -v
        """);
    JUDGES.put(
        "find: the first name of each inode",
        """
        find . ! -type d -links +1 -printf '%i %p\\0' | sort -zk2 | perl -0ne '
          chomp;
          my ($inode, $path) = split(/ /, $_, 2);
          $path =~ s/[^!-~]|%/sprintf("%%%02X", ord($&))/gse;
          $first{$inode} //= $path;
          print "$path = $first{$inode}\\n"'
        """);
    JUDGES.put(
        "stat: devices", "find . \\( -type b -o -type c \\) -exec stat -c '%n %t:%T' {} + | sort");
    JUDGES.put(
        "getfattr",
        """
        find . -path ./deep -prune -o -print0 | sort -z | xargs -0r getfattr -hdm - -e hex -- |
          perl -00ne 's/\\n(?!\\z)/ /g; print'
        """);
    JUDGES.put(
        "getfacl",
        """
        find . -path ./deep -prune -o ! -type l -print0 | sort -z | xargs -0r getfacl -nP -- |
          perl -00ne 's/\\n(?!\\z)/ /g; print'
        """);
    JUDGES.put("SEEK_DATA and SEEK_HOLE", "perl " + fixture("holes.pl"));
    JUDGES.put(
        "tar: all of what is deep",
        """
        [ ! -d deep ] || tar --sort=name --numeric-owner --xattrs --xattrs-include='*' --acls \\
          --format=posix --pax-option=delete=atime,delete=ctime,exthdr.name=x -cf - deep | sha256sum
        """);
  }

  private Judges() {}

  /** Skips the test where one of them, or what makes the tree for them, is missing. */
  public static void need() {
    Tool.need("bash", "perl", "rsync", "find", "getfattr", "setfattr", "getfacl", "setfacl", "tar");
  }

  /** A file of those that make a tree, or look at one. */
  static Path fixture(String name) {
    return Path.of("tests/fixtures/tree", name).toAbsolutePath();
  }

  /** Fails where one of them tells the trees apart. */
  public static void assertSame(Path expected, Path actual) throws Exception {
    assertSame(expected, actual, UnaryOperator.identity());
  }

  /** The same; {@code known} takes out of what one prints that in which the trees may differ. */
  static void assertSame(Path expected, Path actual, UnaryOperator<String> known) throws Exception {
    List<String> verdicts = new ArrayList<>();
    for (Map.Entry<String, String> judge : JUDGES.entrySet()) {
      String wanted = known.apply(seen(judge.getValue(), expected));
      String found = known.apply(seen(judge.getValue(), actual));
      verdicts.addAll(onlyIn(wanted, found, judge.getKey() + " - "));
      verdicts.addAll(onlyIn(found, wanted, judge.getKey() + " + "));
    }
    String rsync = differences("-aHAXSn", expected, actual);
    verdicts.addAll(onlyIn(known.apply(rsync), "", "rsync: "));
    assertEquals(List.of(), verdicts);
  }

  /** What rsync would have to do to make the one tree like the other: a line for each entry. */
  static String differences(String how, Path source, Path target) throws Exception {
    return Tool.succeed(
        "rsync",
        how,
        "--numeric-ids",
        "--checksum",
        "--delete",
        "--itemize-changes",
        "--exclude=/deep/",
        source + "/",
        target + "/");
  }

  /** What a shell prints in a directory. */
  public static String seen(String command, Path where) throws Exception {
    return Tool.succeed(
        "bash", "-euo", "pipefail", "-c", "cd \"$1\"\n" + command, "bash", where.toString());
  }

  private static List<String> onlyIn(String some, String others, String prefix) {
    Set<String> known = others.lines().collect(Collectors.toSet());
    return some.lines()
        .filter(line -> !known.contains(line))
        .limit(MOST_LINES)
        .map(prefix::concat)
        .toList();
  }
}
