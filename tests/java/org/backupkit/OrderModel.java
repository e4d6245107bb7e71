package org.backupkit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/**
 * What may be told of a backup session in which order. Every bundle is appended once. As a listener
 * it also cancels some bundles from inside its callbacks.
 */
final class OrderModel extends Journal {
  /** A bundle as it was appended. */
  record Job(String bundle, int batch, int priority) {}

  @FunctionalInterface
  interface Cancel {
    int cancel(String bundle) throws BackupException;
  }

  private final int atOnce;
  private final Random random; // used by one callback at a time
  private final List<Job> jobs = Collections.synchronizedList(new ArrayList<>()); // in call order
  private final Map<String, Set<Integer>> cancelled = new HashMap<>(); // guarded by itself
  private CountDownLatch mayGoOn = new CountDownLatch(0);
  private @Nullable Cancel cancel;
  private int pinned;
  private int told = -1;

  OrderModel(int atOnce, long seed) {
    this.atOnce = atOnce;
    this.random = new Random(seed);
  }

  /** How its callbacks cancel. */
  void cancels(Cancel call) {
    cancel = call;
  }

  void append(List<Job> batch) {
    jobs.addAll(batch);
  }

  List<Job> jobs() {
    synchronized (jobs) {
      return List.copyOf(jobs);
    }
  }

  int batches() {
    return jobs().stream().mapToInt(Job::batch).max().orElse(-1) + 1;
  }

  /** Nothing that begins from now on ends until {@link #letGo}. */
  void hold() {
    mayGoOn = new CountDownLatch(1);
  }

  void letGo() {
    mayGoOn.countDown();
  }

  /** Whatever is appended from now on is known to the service before any of it can begin. */
  void pin() {
    pinned = jobs().size();
  }

  /** The session was closed just now: no callback begins any more, and one may be at its begin. */
  void release() {
    told = notes().size();
  }

  void cancel(String bundle) {
    Cancel call = cancel;
    if (call == null) {
      return;
    }
    try {
      int code = call.cancel(bundle);
      synchronized (cancelled) {
        cancelled.computeIfAbsent(bundle, key -> new HashSet<>()).add(code);
      }
    } catch (BackupException e) {
      assertEquals(ErrorCode.NOT_PERMITTED, e.error(), "the session was released meanwhile");
    }
  }

  @Override
  public void onBundleBegin(@Nullable BackupException error, String bundleName) {
    super.onBundleBegin(error, bundleName);
    try {
      mayGoOn.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
    cancelOne();
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    super.onFileReady(error, file);
    cancelOne();
  }

  @Override
  public void onResultReport(String bundleName, String result) {
    super.onResultReport(bundleName, result);
    cancelOne();
  }

  private void cancelOne() {
    if (random.nextInt(100) == 0) {
      List<Job> known = jobs();
      cancel(known.get(random.nextInt(known.size())).bundle());
    }
  }

  /** Checks all that was told, when nothing can come any more. */
  void check() {
    assertTrue(told < 0 || notes().size() <= told + 1, "told after the release");
    assertEquals(List.of(), of(Kind.DIED, ""));
    Set<String> running = new HashSet<>();
    Set<String> over = new HashSet<>();
    int all = 0;
    for (Note note : notes()) {
      switch (note.kind()) {
        case BEGIN -> {
          assertTrue(over.add(note.bundle()), note + " twice");
          if (note.code() == 0) {
            over.remove(note.bundle());
            assertTrue(running.add(note.bundle()), note + " while it runs");
          }
        }
        case END -> {
          assertTrue(running.remove(note.bundle()), note + " without a begin");
          over.add(note.bundle());
        }
        case ALL -> assertTrue(++all <= batchesOver(over), note + " too early");
        default -> assertTrue(running.contains(note.bundle()), note + " outside its bundle");
      }
      assertTrue(running.size() <= atOnce, running + " at once");
    }
    if (told < 0) {
      assertEquals(Set.of(), running, "without an end");
      assertEquals(batches(), all);
      assertEquals(batches(), batchesOver(over));
    }
    for (Job job : jobs()) {
      checkBundle(job.bundle());
    }
    checkStarts();
  }

  // How many batches have nothing more to come; what was cancelled before its begin counts as over.
  private int batchesOver(Set<String> over) {
    Set<Integer> open = new HashSet<>();
    for (Job job : jobs()) {
      if (!over.contains(job.bundle()) && !hasAnswer(job.bundle(), ErrorCode.CANCEL_NOT_BEGUN)) {
        open.add(job.batch());
      }
    }
    return batches() - open.size();
  }

  private void checkBundle(String bundle) {
    List<Note> mine = notes().stream().filter(note -> note.bundle().equals(bundle)).toList();
    if (hasAnswer(bundle, ErrorCode.CANCEL_NOT_BEGUN)) {
      assertEquals(List.of(), mine, "after it was cancelled before its begin");
      return;
    }
    List<Note> files = of(Kind.FILE, bundle);
    List<Note> reports = of(Kind.REPORT, bundle);
    assertEquals(files.size(), files.stream().map(Note::text).distinct().count(), "a file twice");
    for (Note file : files) {
      assertTrue(reports.isEmpty() || file.time() <= reports.get(0).time(), "a report before it");
      assertTrue(
          !file.text().equals("manage.json") || file == files.get(files.size() - 1),
          "files after manage.json");
    }
    List<Note> ends = of(Kind.END, bundle);
    if (ends.isEmpty()) {
      assertTrue(told >= 0 || mine.size() == 1 && mine.get(0).code() != 0, bundle + " had no end");
      return;
    }
    int code = ends.get(0).code();
    boolean ended = hasAnswer(bundle, ErrorCode.CANCELLED);
    assertEquals(ended, code == ErrorCode.CANCELLED.code(), bundle + " and its cancel: " + code);
    if (code == 0) {
      assertEquals("manage.json", files.get(files.size() - 1).text());
      assertTrue(!reports.isEmpty(), bundle + " had no report");
    }
  }

  // CANCELLED stands for the answer 0: the bundle ends by it.
  private boolean hasAnswer(String bundle, ErrorCode answer) {
    synchronized (cancelled) {
      Set<Integer> answers = cancelled.getOrDefault(bundle, Set.of());
      return answers.contains(answer == ErrorCode.CANCELLED ? 0 : answer.code());
    }
  }

  // By priority and then in call order, as far as the service knew of both.
  private void checkStarts() {
    List<Job> known = jobs();
    List<String> begun =
        notes().stream()
            .filter(note -> note.kind() == Kind.BEGIN && note.code() == 0)
            .map(Note::bundle)
            .toList();
    for (int i = 0; i < known.size(); i++) {
      for (int j = i + 1; j < known.size(); j++) {
        Job first = known.get(i);
        Job second = known.get(j);
        boolean together = first.batch() == second.batch() || (pinned > 0 && i >= pinned);
        if (first.priority() < second.priority() && together) {
          checkStart(begun, second, first);
        } else if (first.priority() >= second.priority()) {
          checkStart(begun, first, second);
        }
      }
    }
  }

  private static void checkStart(List<String> begun, Job first, Job second) {
    int early = begun.indexOf(first.bundle());
    int late = begun.indexOf(second.bundle());
    assertTrue(early < 0 || late < 0 || early < late, second + " began before " + first);
  }

  String describe() {
    StringBuilder text = new StringBuilder("released after " + told + "\n");
    jobs().forEach(job -> text.append(job).append('\n'));
    text.append("cancelled ").append(cancelled).append('\n');
    notes().forEach(note -> text.append(note).append('\n'));
    return text.toString();
  }
}
