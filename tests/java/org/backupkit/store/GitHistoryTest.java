package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.backupkit.Tool;
import org.backupkit.store.Manifest.Row;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Git says what an incremental backup has to send, and that what comes back is what was there. The
 * history is that of an editor who decides by chance, and this project's own where it is at hand.
 */
@Timeout(600)
class GitHistoryTest {
  private static final int COMMITS = 30;
  private static final int USUAL = 3; // of this project's own
  private static final int PACKING_LIMIT = 8192;

  @TempDir Path directory;

  @BeforeEach
  void needGit() {
    Tool.need("git", "tar");
  }

  @Test
  void anEditorsHistory_isSentCommitByCommit_andEachComesBack() throws Exception {
    Random random = Truth.random(GitHistoryTest.class);
    Path desk = Files.createDirectory(directory.resolve("desk"));
    GitRepository git = new GitRepository(directory.resolve("git"));
    GitEditor editor = new GitEditor(desk, random);
    List<String> commits = new ArrayList<>();
    String last = "";
    for (int i = 0; i < COMMITS; i++) {
      editor.edit();
      last = git.commit(desk, last);
      commits.add(last);
    }
    follow(git, commits);
  }

  @Test
  void thisProjectsHistory_isSentCommitByCommit_andEachComesBack() throws Exception {
    Path project = Path.of("").toAbsolutePath();
    assumeTrue(Files.exists(project.resolve(".git")), "no .git in " + project);
    String count = String.valueOf(Truth.count(COMMITS, USUAL));
    Tool.Outcome log = git(project, "rev-list", "--first-parent", "--reverse", "-n", count, "HEAD");
    assumeTrue(log.status() == 0, "git cannot read " + project + ": " + log.output());
    List<String> commits = log.output().lines().toList();
    assumeTrue(commits.size() > 1, "too few commits: " + commits.size());
    Path objects =
        project.resolve(git(project, "rev-parse", "--git-path", "objects").output().strip());
    follow(GitRepository.borrowing(objects, directory.resolve("git")), commits);
  }

  /** Backs up one commit after another, then restores all. */
  private void follow(GitRepository git, List<String> commits) throws Exception {
    try (AppChain app = new AppChain(directory, PACKING_LIMIT)) {
      Map<String, Row> before = new HashMap<>();
      String last = git.nothing(app.source());
      List<Snapshot> snapshots = new ArrayList<>();
      int changes = 0;
      for (String commit : commits) {
        git.checkOut(commit, app.source());
        Snapshot snapshot = app.backUp();
        Map<String, Row> after = filesOf(snapshot);
        Map<String, String> expected = git.changes(app.source(), last, commit);
        assertEquals(expected, changes(before, after), last + ".." + commit);
        assertEquals(sent(after), carried(snapshot), snapshot.toString());
        assertEquals(snapshots.isEmpty() ? "full" : "incremental", snapshot.kind());
        snapshots.add(snapshot);
        changes += expected.size();
        before = after;
        last = commit;
      }
      for (int i = 0; i < commits.size(); i++) {
        app.restore(snapshots.get(i), RestoreOptions.Mode.MIRROR);
        String tree = git.run(app.source(), "rev-parse", commits.get(i) + "^{tree}");
        assertEquals(tree, git.writeTree(app.target()), commits.get(i));
      }
      System.out.println("GitHistoryTest: " + commits.size() + " commits, " + changes + " changes");
    }
  }

  /** The rows of what git knows, too: of all but directories. */
  private static Map<String, Row> filesOf(Snapshot snapshot) throws IOException {
    Map<String, Row> rows = new TreeMap<>();
    Manifest.each(
        snapshot.directory().resolve(Description.MANIFEST),
        row -> {
          if (!row.type().equals("d")) {
            rows.put(Manifest.readable(row.path()), row);
          }
        });
    return rows;
  }

  /** What a run has sent and dropped, as git would say it. */
  private static Map<String, String> changes(Map<String, Row> before, Map<String, Row> after) {
    Map<String, String> changes = new TreeMap<>();
    before.keySet().forEach(path -> changes.put(path, "D"));
    after.forEach(
        (path, row) -> {
          Row old = before.get(path);
          if (old == null) {
            changes.put(path, "A");
          } else if (row.isKept() && row.mode() == old.mode() && row.hash().equals(old.hash())) {
            changes.remove(path);
          } else {
            changes.put(path, row.type().equals(old.type()) ? "M" : "T");
          }
        });
    return changes;
  }

  private static Set<String> sent(Map<String, Row> rows) {
    Set<String> sent = new TreeSet<>(rows.keySet());
    sent.removeIf(path -> rows.get(path).isKept());
    return sent;
  }

  /** What the files of a snapshot hold, as tar and the index say. */
  private static Set<String> carried(Snapshot snapshot) throws Exception {
    Set<String> carried = new TreeSet<>();
    for (JsonNode item : Json.readArray(snapshot.directory().resolve(Description.INDEX))) {
      if (item.path("isBigFile").asBoolean()) {
        String path = item.at("/information/path").asText();
        boolean encoded = item.path("encodeFlag").asInt() == 1;
        carried.add(encoded ? Manifest.readable(Manifest.decoded(path)) : path);
      } else if (item.path("fileName").asText().endsWith(".tar")) {
        Path part = snapshot.directory().resolve(item.path("fileName").asText());
        Tool.succeed("tar", "--quoting-style=literal", "-tf", part.toString())
            .lines()
            .filter(line -> !line.endsWith("/"))
            .forEach(carried::add);
      }
    }
    return carried;
  }

  /** Asks a repository that is not ours, whoever's it is. */
  private static Tool.Outcome git(Path project, String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.addAll(List.of("env", "-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "-u", "GIT_INDEX_FILE"));
    command.addAll(List.of("git", "-c", "safe.directory=*", "-C", project.toString()));
    command.addAll(List.of(arguments));
    return Tool.run(command);
  }
}
