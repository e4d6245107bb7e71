package org.backupkit.internal;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Runs tasks one at a time, in order, on another executor. What a task throws goes to its thread's
 * uncaught handler.
 */
public final class SerialExecutor {
  private static final long IDLE_THREAD_SECONDS = 10;

  private final Executor executor;
  private final @Nullable ThreadPoolExecutor own;
  private final Object lock = new Object();
  private final Queue<Task> waiting = new ArrayDeque<>(); // guarded by lock
  private boolean running; // guarded by lock
  private volatile @Nullable Thread runner;

  /**
   * Wraps an executor.
   *
   * @param executor where tasks run
   */
  public SerialExecutor(Executor executor) {
    this.executor = executor;
    this.own = null;
  }

  private SerialExecutor(ThreadPoolExecutor own) {
    this.executor = own;
    this.own = own;
  }

  /**
   * Makes one with a daemon thread of its own, which ends when idle.
   *
   * @param threadName the thread's name
   * @return the executor
   */
  public static SerialExecutor onOwnThread(String threadName) {
    ThreadPoolExecutor own =
        new ThreadPoolExecutor(
            1,
            1,
            IDLE_THREAD_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> daemon(task, threadName));
    own.allowCoreThreadTimeOut(true);
    return new SerialExecutor(own);
  }

  /**
   * Lets a thread of its own end as soon as it has nothing to do. Tasks may still come: they get a
   * new one.
   */
  public void retire() {
    if (own != null) {
      own.setKeepAliveTime(1, TimeUnit.MILLISECONDS);
    }
  }

  static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  /**
   * Tells whether the caller is one of the tasks.
   *
   * @return true on the thread that runs a task now
   */
  public boolean isInside() {
    return Thread.currentThread() == runner;
  }

  /**
   * Queues a task. Never throws; a task that the executor refuses is discarded.
   *
   * @param task what to do
   */
  public void execute(Task task) {
    synchronized (lock) {
      waiting.add(task);
      if (running) {
        return;
      }
      running = true;
    }
    schedule();
  }

  private void schedule() {
    try {
      executor.execute(this::runOne);
    } catch (Throwable e) { // an Error is how a JVM says that it can start no thread
      report(e);
      for (Task task = next(); task != null; task = next()) {
        guarded(task::discard);
      }
    }
  }

  // One task a turn: a shared executor gets its thread back in between.
  private void runOne() {
    Task task = next();
    if (task == null) {
      return;
    }
    runner = Thread.currentThread();
    try {
      guarded(task::run);
    } finally {
      runner = null;
    }
    synchronized (lock) {
      if (waiting.isEmpty()) {
        running = false;
        return;
      }
    }
    schedule();
  }

  /**
   * Takes the task that waits next away, if it is of a kind. For a task that runs, which does or
   * discards the other in its stead.
   *
   * @param <T> the kind
   * @param kind the kind
   * @return the task, or null where it is of another kind, or there is none
   */
  public <T extends Task> @Nullable T takeNext(Class<T> kind) {
    synchronized (lock) {
      return kind.isInstance(waiting.peek()) ? kind.cast(waiting.poll()) : null;
    }
  }

  private @Nullable Task next() {
    synchronized (lock) {
      Task task = waiting.poll();
      if (task == null) {
        running = false;
      }
      return task;
    }
  }

  /**
   * Does something whose failure must not stop what follows: it goes to the thread's uncaught
   * handler.
   *
   * @param action what to do
   */
  public static void guarded(Runnable action) {
    try {
      action.run();
    } catch (Throwable e) {
      report(e);
    }
  }

  private static void report(Throwable e) {
    Thread thread = Thread.currentThread();
    try {
      thread.getUncaughtExceptionHandler().uncaughtException(thread, e);
    } catch (Throwable ignored) {
      // As the JVM does with a handler that throws.
    }
  }

  /** Something to do. */
  @FunctionalInterface
  public interface Task {
    /** Does it. */
    void run();

    /** Called instead of {@link #run} when it never will be; frees what the task holds. */
    default void discard() {}
  }
}
