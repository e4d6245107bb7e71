package org.backupkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Finds the processes that work for a service, and limits them. */
public final class Extensions {
  private Extensions() {}

  /** The one child that the service has. */
  public static ProcessHandle only(BackupService service) {
    List<ProcessHandle> children = children(service);
    if (children.size() != 1) {
      throw new AssertionError("the service has the children " + children);
    }
    return children.get(0);
  }

  /** The one child of the service that has a bundle's sandbox open. */
  public static ProcessHandle of(BackupService service, Path sandbox) throws IOException {
    return find(service, sandbox)
        .orElseThrow(() -> new AssertionError("no child has " + sandbox + " open"));
  }

  /** The same, if it is there. */
  public static Optional<ProcessHandle> find(BackupService service, Path sandbox)
      throws IOException {
    for (ProcessHandle child : children(service)) {
      if (hasOpen(child.pid(), sandbox)) {
        return Optional.of(child);
      }
    }
    return Optional.empty();
  }

  /** The processes that work for the service. */
  public static List<ProcessHandle> children(BackupService service) {
    return ProcessHandle.of(service.servicePid()).orElseThrow().children().toList();
  }

  /** Limits a process to so many more descriptors than it has. */
  public static void leaveFree(long pid, int free) throws IOException, InterruptedException {
    Set<Integer> used;
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/" + pid + "/fd"))) {
      used =
          descriptors
              .map(path -> Integer.valueOf(path.getFileName().toString()))
              .collect(Collectors.toSet());
    }
    int limit = 0;
    for (int left = free; left > 0 || used.contains(limit); ++limit) {
      left -= used.contains(limit) ? 0 : 1;
    }
    Tool.succeed("prlimit", "--pid=" + pid, "--nofile=" + limit + ":");
  }

  /** Tells whether a process has a file open. */
  public static boolean hasOpen(long pid, Path file) {
    try (var descriptors = Files.list(Path.of("/proc/" + pid + "/fd"))) {
      for (Path descriptor : descriptors.toList()) {
        if (isSame(descriptor, file)) {
          return true;
        }
      }
    } catch (IOException | UncheckedIOException e) {
      return false; // it has ended meanwhile
    }
    return false;
  }

  private static boolean isSame(Path descriptor, Path file) throws IOException {
    try {
      return Files.exists(descriptor) && Files.isSameFile(descriptor, file);
    } catch (NoSuchFileException e) {
      return false; // closed since
    }
  }
}
