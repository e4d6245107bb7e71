package org.backupkit.bench;

import java.nio.file.Path;
import java.util.Locale;
import org.backupkit.Tool;

/** What others back data up with, and restore them. Each script has a "from" and a "to". */
enum Program {
  TAR(
      "",
      "tar cf \"$2/tree.tar\" -C \"$1\" .",
      "for part in \"$1\"/*.tar; do tar xf \"$part\" -C \"$2\" || exit; done"),
  BSDTAR("", "bsdtar cf \"$2/tree.tar\" -C \"$1\" .", "bsdtar xf \"$1/tree.tar\" -C \"$2\""),
  CP("", "cp -r --reflink=never \"$1\" \"$2/tree\"", "cp -r --reflink=never \"$1/tree\" \"$2\""),
  RSYNC("", "rsync -a \"$1/\" \"$2/tree\"", "rsync -a \"$1/tree/\" \"$2\""),
  RESTIC(
      "export RESTIC_PASSWORD=x; restic -q --no-cache init -r \"$2/repository\"",
      "export RESTIC_PASSWORD=x; cd \"$1\"; restic -q --no-cache backup -r \"$2/repository\" .",
      "export RESTIC_PASSWORD=x;"
          + " restic -q --no-cache restore latest -r \"$1/repository\" --target \"$2\""),
  BORG(
      "export BORG_BASE_DIR=\"$2\"; borg init -e none \"$2/repository\"",
      "export BORG_BASE_DIR=\"$2\"; cd \"$1\"; borg create -C none \"$2/repository::one\" .",
      "export BORG_BASE_DIR=\"$1\"; cd \"$2\"; borg extract \"$1/repository::one\"");

  private final String ready;
  private final String write;
  private final String restore;

  Program(String ready, String write, String restore) {
    this.ready = ready;
    this.write = write;
    this.restore = restore;
  }

  /** The way that writes a tree into a directory, and syncs that. */
  Duel.Way writing(Path tree) {
    return new Script(this, ready, write, tree);
  }

  /** The way that restores what was written into a directory, and syncs that. */
  Duel.Way restoring(Path written) {
    return new Script(this, "", restore, written);
  }

  private record Script(Program program, String ready, String work, Path from) implements Duel.Way {
    @Override
    public void prepare(Path fresh) throws Exception {
      run(ready, fresh);
    }

    @Override
    public void go(Path fresh) throws Exception {
      run(work, fresh);
      Duel.sync(fresh);
    }

    @Override
    public boolean isInstalled() {
      return Tool.isInstalled(program.name().toLowerCase(Locale.ROOT));
    }

    private void run(String script, Path to) throws Exception {
      Tool.succeed("sh", "-ec", script, "sh", from.toString(), to.toString());
    }
  }
}
