package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;

/** Fails a test that leaves a descriptor of ours or a process behind. */
final class Census implements BeforeEachCallback, AfterEachCallback {
  private static final Namespace OURS = Namespace.create(Census.class);
  // The JVM opens files of its own when it likes; these are of kinds that we make.
  private static final String KIND = "socket:|/memfd:|anon_inode:|.*\\(deleted\\)|.*/junit-.*";
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(10);

  static {
    // The JVM makes a socket of its own with its first channel, and keeps it.
    try {
      FileChannel.open(Path.of("/proc/self/stat")).close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void beforeEach(ExtensionContext context) throws IOException {
    context.getStore(OURS).put("before", count());
  }

  @Override
  public void afterEach(ExtensionContext context) throws IOException {
    Set<?> before = context.getStore(OURS).get("before", Set.class);
    long end = System.nanoTime() + PATIENCE;
    Set<String> left = newSince(before);
    // A session's last file is closed on its own thread.
    while (!left.isEmpty() && System.nanoTime() < end) {
      Thread.onSpinWait();
      left = newSince(before);
    }
    assertEquals(Set.of(), left, "left behind");
  }

  private static Set<String> newSince(Set<?> before) throws IOException {
    Set<String> now = count();
    now.removeAll(before);
    return now;
  }

  private static Set<String> count() throws IOException {
    Set<String> found =
        ProcessHandle.current()
            .children()
            .filter(ProcessHandle::isAlive)
            .map(child -> "process " + child.pid())
            .collect(Collectors.toCollection(TreeSet::new));
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      for (Path descriptor : descriptors.toList()) {
        String target = targetOf(descriptor);
        if (target.matches("(" + KIND + ").*")) {
          found.add(descriptor.getFileName() + " " + target);
        }
      }
    }
    return found;
  }

  private static String targetOf(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString();
    } catch (IOException e) {
      return ""; // it was the listing's own
    }
  }
}
