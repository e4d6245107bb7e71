package org.backupkit.soak;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.backupkit.Extensions;

/** Does something to a process that works for the service, a while after it was started. */
final class Saboteur implements AutoCloseable {
  private static final Set<Fault> HARMS =
      Set.of(Fault.EXTENSION_KILLED, Fault.HOOK_KILLED, Fault.NO_DESCRIPTORS);
  private static final int LEFT = 2; // descriptors

  private final long service;
  private final Fault fault;
  private final CompletableFuture<Boolean> deed;
  private volatile boolean isOver;

  Saboteur(long service, Fault fault, int delayMicros) {
    this.service = service;
    this.fault = fault;
    deed = CompletableFuture.supplyAsync(() -> act(delayMicros));
  }

  /** Ends it. Whether it has done it. */
  boolean hasActed() {
    isOver = true;
    return deed.join();
  }

  private boolean act(int delayMicros) {
    long begin = 0; // when there was first somebody
    while (!isOver && HARMS.contains(fault)) {
      Optional<ProcessHandle> victim = victim();
      if (victim.isEmpty()) {
        Thread.onSpinWait();
        continue;
      }
      if (begin == 0) {
        begin = System.nanoTime();
      }
      if (System.nanoTime() - begin >= TimeUnit.MICROSECONDS.toNanos(delayMicros)) {
        return harm(victim.get());
      }
    }
    return false;
  }

  private Optional<ProcessHandle> victim() {
    return ProcessHandle.of(service).stream()
        .flatMap(ProcessHandle::children)
        .filter(this::isMeant)
        .findFirst();
  }

  private boolean isMeant(ProcessHandle child) {
    try {
      String command = Files.readString(Path.of("/proc/" + child.pid() + "/cmdline"));
      return fault == Fault.HOOK_KILLED
          ? command.contains("/hooks/")
          : command.contains("--extension");
    } catch (IOException e) {
      return false; // it has ended
    }
  }

  private boolean harm(ProcessHandle victim) {
    if (fault != Fault.NO_DESCRIPTORS) {
      return victim.destroyForcibly();
    }
    try {
      Extensions.leaveFree(victim.pid(), LEFT);
      return true;
    } catch (IOException | InterruptedException | AssertionError e) {
      return false; // it has ended
    }
  }

  @Override
  public void close() {
    isOver = true;
    deed.join();
  }
}
