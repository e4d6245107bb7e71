package org.backupkit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SerialExecutorTest {
  @Test
  void tasksRunOneAtATimeInOrder_onAPoolToo() throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    try {
      SerialExecutor serial = new SerialExecutor(pool);
      List<Integer> order = new ArrayList<>(); // no lock: the claim is that none is needed
      AtomicInteger inside = new AtomicInteger();
      AtomicBoolean overlap = new AtomicBoolean();
      CountDownLatch done = new CountDownLatch(1);
      for (int i = 0; i < 2000; i++) {
        int number = i;
        serial.execute(
            () -> {
              overlap.compareAndSet(false, inside.incrementAndGet() != 1);
              order.add(number);
              inside.decrementAndGet();
            });
      }
      serial.execute(done::countDown);
      assertTrue(done.await(30, TimeUnit.SECONDS));
      assertFalse(overlap.get());
      assertEquals(IntStream.range(0, 2000).boxed().toList(), order);
    } finally {
      pool.shutdown();
    }
  }

  @Test
  void aThrowingTaskReachesTheUncaughtHandlerAndTheNextStillRuns() throws Exception {
    AtomicReference<Throwable> caught = new AtomicReference<>();
    ExecutorService one =
        Executors.newSingleThreadExecutor(
            task -> {
              Thread thread = new Thread(task);
              thread.setUncaughtExceptionHandler((where, error) -> caught.set(error));
              return thread;
            });
    try {
      SerialExecutor serial = new SerialExecutor(one);
      CountDownLatch done = new CountDownLatch(1);
      RuntimeException thrown = new RuntimeException("listener");
      serial.execute(
          () -> {
            throw thrown;
          });
      serial.execute(done::countDown);
      assertTrue(done.await(30, TimeUnit.SECONDS));
      assertEquals(thrown, caught.get());
    } finally {
      one.shutdown();
    }
  }

  @Test
  void whatTheExecutorRefusesIsDiscarded() throws Exception {
    assertDiscarded(
        task -> {
          throw new RejectedExecutionException("shut down");
        });
    assertDiscarded(
        task -> {
          throw new OutOfMemoryError("unable to create native thread");
        });
  }

  private static void assertDiscarded(Executor refusing) throws InterruptedException {
    AtomicInteger discarded = new AtomicInteger();
    SerialExecutor serial = new SerialExecutor(refusing);
    Thread caller =
        new Thread(
            () -> {
              for (int i = 0; i < 2; i++) {
                serial.execute(
                    new SerialExecutor.Task() {
                      @Override
                      public void run() {}

                      @Override
                      public void discard() {
                        discarded.incrementAndGet();
                      }
                    });
              }
            });
    caller.setUncaughtExceptionHandler((where, error) -> {});
    caller.start();
    caller.join();
    assertEquals(2, discarded.get());
  }

  @Test
  void aTaskKnowsThatItIsInside() throws Exception {
    SerialExecutor serial = SerialExecutor.onOwnThread("test");
    AtomicBoolean inside = new AtomicBoolean();
    CountDownLatch done = new CountDownLatch(1);
    serial.execute(
        () -> {
          inside.set(serial.isInside());
          done.countDown();
        });
    assertTrue(done.await(30, TimeUnit.SECONDS));
    assertTrue(inside.get());
    assertFalse(serial.isInside());
  }
}
