package org.backupkit.store;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.backupkit.Tool;

/** Git objects of a test's own, and the trees that they are checked out to. */
final class GitRepository {
  private final Path git;

  GitRepository(Path git) throws Exception {
    this.git = git;
    Tool.succeed(
        "env", "GIT_CONFIG_GLOBAL=/dev/null", "git", "init", "-q", "--template=", "" + git);
  }

  /** The same with the objects of a project, which stays as it is. */
  static GitRepository borrowing(Path objects, Path git) throws Exception {
    GitRepository repository = new GitRepository(git);
    Path info = Files.createDirectories(git.resolve(".git/objects/info"));
    Files.writeString(info.resolve("alternates"), objects + "\n");
    return repository;
  }

  /** Runs git where nobody's settings and hooks are in the way; the tree is that of the work. */
  String run(Path work, String... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.addAll(List.of("env", "-C", work.toString(), "GIT_CONFIG_GLOBAL=/dev/null"));
    command.addAll(List.of("GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=" + git.resolve(".git")));
    command.addAll(List.of("GIT_WORK_TREE=" + work, "GIT_INDEX_FILE=" + index(work)));
    for (String whose : List.of("AUTHOR", "COMMITTER")) {
      command.add("GIT_" + whose + "_NAME=test");
      command.add("GIT_" + whose + "_EMAIL=test@example.com");
    }
    command.addAll(List.of("git", "-c", "core.fileMode=true", "-c", "core.symlinks=true"));
    command.addAll(List.of("-c", "core.hooksPath=/dev/null"));
    command.addAll(List.of(arguments));
    return Tool.succeed(command.toArray(String[]::new)).strip();
  }

  /** Adds what is in a tree now as a commit after another; after none where that is "". */
  String commit(Path work, String parent) throws Exception {
    String tree = writeTree(work);
    return parent.isEmpty()
        ? run(work, "commit-tree", "-m", "a change", tree)
        : run(work, "commit-tree", "-m", "a change", "-p", parent, tree);
  }

  /** The id of what is in a tree now, but for what is ours at its top. */
  String writeTree(Path work) throws Exception {
    run(work, "add", "-A", "-f", "--", ".", ":(exclude,top).backup");
    return run(work, "write-tree");
  }

  /** Makes a tree that of a commit; what is the same is not written. */
  void checkOut(String commit, Path work) throws Exception {
    run(work, "read-tree", "-u", "--reset", commit);
  }

  /** The id of a tree with nothing in it. */
  String nothing(Path work) throws Exception {
    return run(work, "hash-object", "-t", "tree", "/dev/null");
  }

  /** What became of each path between two trees: A, D, M or T. */
  Map<String, String> changes(Path work, String from, String to) throws Exception {
    String text = run(work, "diff-tree", "-r", "-z", "--name-status", "--no-renames", from, to);
    Map<String, String> changes = new TreeMap<>();
    String[] words = text.split("\0", -1);
    for (int i = 0; i + 1 < words.length; i += 2) {
      changes.put(words[i + 1], words[i]);
    }
    return changes;
  }

  private Path index(Path work) {
    return git.resolve("index-" + work.toString().replace('/', '-'));
  }
}
