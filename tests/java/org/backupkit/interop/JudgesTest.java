package org.backupkit.interop;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The judges of the other tests tell trees apart that differ in one thing only. */
@Timeout(120)
class JudgesTest {
  private static final String TREE =
      """
      mkdir -p dir deep/dir
      echo content >file
      ln file hard
      ln -s file link
      mkfifo fifo
      echo content >deep/dir/file
      truncate -s 100000 sparse
      setfattr -n user.a -v b file
      setfacl -d -m u:1:r dir
      find . -exec touch -hd @1000000000 {} +
      """;
  // And what is moved by that alone is put back.
  private static final String THEN = "\nfind . -exec touch -hd @1000000000 {} +";

  @TempDir Path directory;

  @Test
  void equalTreesAreEqual_andAnyDifferenceIsNoticed() throws Exception {
    Judges.need();
    Path wanted = make("wanted");
    Judges.assertSame(wanted, make("same"));
    for (String change :
        List.of(
            "echo Content >file" + THEN,
            "echo Content >deep/dir/file" + THEN,
            "chmod 0600 file",
            "chmod 0700 dir",
            "touch -hd @1000000000.000000001 link",
            "touch -d @1000000000.5 deep",
            "touch -d @1000000001 .",
            "rm hard; cp -a file hard" + THEN,
            "ln file another" + THEN,
            "ln -sfn fil link" + THEN,
            "rm fifo; touch fifo" + THEN,
            "rm deep/dir/file" + THEN,
            "setfattr -n user.a -v c file",
            "setfattr -n user.c dir",
            "setfattr -x user.a file",
            "setfattr -n user.c deep/dir/file",
            "setfacl -m u:1:r file",
            "setfacl -k dir",
            "dd if=/dev/zero of=sparse conv=notrunc bs=4096 count=1 status=none" + THEN)) {
      Path changed = make("changed");
      Judges.seen(change, changed);
      assertThrows(AssertionError.class, () -> Judges.assertSame(wanted, changed), change);
      Judges.seen("rm -r changed", directory);
    }
  }

  private Path make(String name) throws Exception {
    Path tree = Files.createDirectory(directory.resolve(name));
    Judges.seen(TREE, tree);
    return tree;
  }
}
