package org.backupkit;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.backupkit.Journal.Kind;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Random sessions against a model of what may be told in which order. The system property
 * backupkit.seed repeats a run, backupkit.schedules makes it longer.
 */
@Timeout(300)
class OrderModelTest {
  private static final int SCHEDULES = Integer.getInteger("backupkit.schedules", 250);
  private static final int MAX_EXTENSIONS = 3;
  private static final List<String> GOOD =
      IntStream.range(0, 8).mapToObj(i -> "com.example.good" + i).toList();
  private static final String THROWING = "com.example.throwing";
  private static final String DYING = "com.example.dying"; // its hook has the extension killed
  private static final String REPORTING = "com.example.reporting";
  private static final String UNKNOWN = "com.example.unknown";
  private static final String FORBIDDEN = "com.example.forbidden";

  private final long seed = Long.getLong("backupkit.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private final ExecutorService threads = Executors.newFixedThreadPool(3);

  @TempDir Path directory;
  private Device device;
  private Path asked;

  @BeforeEach
  void makeADevice() throws Exception {
    System.out.println("OrderModelTest: -Dbackupkit.seed=" + seed);
    device = new Device(directory.resolve("device"));
    device.configure("{\"packingLimit\": 100, \"maxSendRate\": 0}");
    for (String bundle : GOOD) {
      fill(device.addBundle(bundle), random.nextInt(60));
    }
    for (String bundle : List.of(THROWING, DYING, REPORTING, FORBIDDEN)) {
      fill(device.addBundle(bundle), 5);
    }
    ShellHook.add(device, THROWING, Map.of("onBackup", "answer '\"error\":\"no\"'"));
    asked = directory.resolve("asked");
    Tool.succeed("mkfifo", asked.toString());
    ShellHook.add(device, DYING, Map.of("onBackup", "printf x >'" + asked + "'"));
    device.letHook(DYING, "writes", asked);
    ShellHook.add(device, REPORTING, Map.of("onBackup", ShellHook.result("mine"), "onRelease", ""));
    Path file = device.root().resolve("etc/backupkit/bundles").resolve(FORBIDDEN + ".json");
    Files.writeString(file, Files.readString(file).replace("true", "false"));
  }

  @AfterEach
  void endTheThreads() throws InterruptedException {
    threads.shutdownNow();
    assertTrue(threads.awaitTermination(30, TimeUnit.SECONDS));
  }

  @Test
  void fullBackupsFollowTheModel() throws Exception {
    repeat(this::runFull);
  }

  @Test
  void incrementalBackupsFollowTheModel() throws Exception {
    repeat(this::runIncremental);
  }

  private interface Schedule {
    void run(BackupService service) throws Exception;
  }

  private void repeat(Schedule schedule) throws Exception {
    try (BackupService service = BackupService.embedded(device.root())) {
      Killer killer = new Killer(service);
      try {
        for (int i = 0; i < SCHEDULES; i++) {
          schedule.run(service);
        }
      } finally {
        killer.stop();
      }
    }
  }

  private void runFull(BackupService service) throws Exception {
    OrderModel model = new OrderModel(MAX_EXTENSIONS, random.nextInt());
    List<OrderModel.Job> batch = batch(names(), 0, 3 + random.nextInt(3), false);
    try (SessionBackup session = new SessionBackup(service, model, executor())) {
      model.cancels(session::cancel);
      model.append(batch);
      session.appendBundles(batch.stream().map(OrderModel.Job::bundle).toList()).get();
      finish(model, session::close);
    }
    check(model);
  }

  private void runIncremental(BackupService service) throws Exception {
    OrderModel model = new OrderModel(MAX_EXTENSIONS, random.nextInt());
    try (IncrementalBackupSession session =
        new IncrementalBackupSession(service, model, executor())) {
      model.cancels(session::cancel);
      Deque<String> names = names();
      int batches = 1 + random.nextInt(4);
      if (random.nextBoolean()) {
        // As long as these do not end nothing else begins, and all that waits is known.
        Deque<String> first = new ArrayDeque<>(GOOD.subList(0, MAX_EXTENSIONS));
        names.removeAll(first);
        model.hold();
        append(session, model, batch(first, 0, MAX_EXTENSIONS, false));
        // The service begins all of them in one go, and the listener does not come further.
        model.await(Kind.BEGIN, GOOD.get(0));
        model.pin();
      }
      for (int i = 0; i < batches && !names.isEmpty(); i++) {
        append(session, model, batch(names, model.batches(), 1 + random.nextInt(4), true));
      }
      model.letGo();
      finish(model, session::close);
    }
    check(model);
  }

  private static void append(
      IncrementalBackupSession session, OrderModel model, List<OrderModel.Job> batch)
      throws Exception {
    model.append(batch);
    session
        .appendBundles(
            batch.stream()
                .map(job -> IncrementalBackupData.builder(job.bundle()).priority(job.priority()))
                .map(IncrementalBackupData.Builder::build)
                .toList())
        .get();
  }

  /** Cancels some, and waits for the end of all, or releases before. */
  private void finish(OrderModel model, Runnable close) throws Exception {
    for (OrderModel.Job job : model.jobs()) {
      if (random.nextInt(6) == 0) {
        model.cancel(job.bundle());
      }
    }
    if (random.nextInt(4) == 0) {
      close.run();
      model.release();
    } else {
      model.await(Kind.ALL, "", model.batches());
    }
  }

  /** When nothing can come any more. */
  private void check(OrderModel model) throws Exception {
    // What an executor of a schedule has been handed runs before this does.
    for (int i = 0; i < 20 * 64; i++) {
      threads.submit(() -> {}).get();
    }
    try {
      model.check();
    } catch (AssertionError e) {
      throw new AssertionError("seed " + seed + ": " + e.getMessage() + "\n" + model.describe(), e);
    }
  }

  private Deque<String> names() {
    List<String> names = new ArrayList<>(GOOD);
    names.addAll(List.of(THROWING, DYING, REPORTING, UNKNOWN, FORBIDDEN));
    Collections.shuffle(names, random);
    return new ArrayDeque<>(names);
  }

  private List<OrderModel.Job> batch(
      Deque<String> names, int number, int size, boolean withPriorities) {
    List<OrderModel.Job> batch = new ArrayList<>();
    while (batch.size() < size && !names.isEmpty()) {
      int priority = withPriorities ? random.nextInt(4) - 1 : 0;
      batch.add(new OrderModel.Job(names.remove(), number, priority));
    }
    return batch;
  }

  /** One thread, or several in turn, each of them later than it could be. */
  private Executor executor() {
    return switch (random.nextInt(3)) {
      case 0 -> threads;
      case 1 -> task -> threads.execute(() -> threads.execute(task));
      default -> new Late(threads, random.nextInt());
    };
  }

  private static void fill(Path sandbox, int files) throws IOException {
    for (int i = 0; i < files; i++) {
      Files.write(sandbox.resolve(i + ".bin"), Device.bytes(i % 2 == 0 ? 50 : 300));
    }
  }

  /** Kills the extension of the bundle that is to die, when its hook asks for it. */
  private final class Killer {
    private final FileChannel requests;
    private final Thread thread;

    Killer(BackupService service) throws IOException {
      requests = FileChannel.open(asked, READ, WRITE); // it has a writer, and so no end
      thread = new Thread(() -> kill(service));
      thread.start();
    }

    private void kill(BackupService service) {
      try {
        while (requests.read(ByteBuffer.allocate(1)) == 1) {
          Extensions.find(service, device.sandbox(DYING)).ifPresent(ProcessHandle::destroyForcibly);
        }
      } catch (IOException e) {
        // It is closed.
      }
    }

    void stop() throws IOException, InterruptedException {
      requests.close();
      thread.join();
    }
  }

  /** Hands each task on a random number of times before it runs. */
  private static final class Late implements Executor {
    private final Executor executor;
    private final Random random;

    Late(Executor executor, long seed) {
      this.executor = executor;
      this.random = new Random(seed);
    }

    @Override
    public void execute(Runnable task) {
      int times;
      synchronized (random) {
        times = random.nextInt(20);
      }
      hand(task, times);
    }

    private void hand(Runnable task, int times) {
      executor.execute(times == 0 ? task : () -> hand(task, times - 1));
    }
  }
}
