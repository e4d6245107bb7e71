package org.backupkit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class NativeHandleTest {
  @Test
  void closeFreesOnceAndUseAfterItThrows() {
    AtomicInteger freed = new AtomicInteger();
    NativeHandle handle = new NativeHandle(7, (value, lost) -> freed.addAndGet((int) value));
    assertEquals(7L, handle.<Long, RuntimeException>use(value -> value));
    handle.close();
    handle.close();
    assertEquals(7, freed.get());
    assertFalse(handle.isOpen());
    assertThrows(IllegalStateException.class, () -> handle.use(value -> value));
    assertThrows(IllegalStateException.class, handle::detach);
  }

  @Test
  void detachGivesTheValueAwayUnfreed() {
    AtomicInteger freed = new AtomicInteger();
    NativeHandle handle = new NativeHandle(7, (value, lost) -> freed.incrementAndGet());
    assertEquals(7, handle.detach());
    handle.close();
    assertThrows(IllegalStateException.class, handle::detach);
    assertEquals(0, freed.get());
  }

  @Test
  void closeWhileInUse_leavesTheFreeingToTheUser() {
    AtomicInteger freed = new AtomicInteger();
    NativeHandle handle = new NativeHandle(7, (value, lost) -> freed.incrementAndGet());
    handle.use(
        value -> {
          handle.close();
          assertEquals(0, freed.get());
          return value;
        });
    assertEquals(1, freed.get());
  }

  @Test
  void detachWhileInUse_isNeverFreed() {
    AtomicInteger freed = new AtomicInteger();
    NativeHandle handle = new NativeHandle(7, (value, lost) -> freed.incrementAndGet());
    handle.use(value -> handle.detach());
    assertEquals(0, freed.get());
  }

  @Test
  void racingUseCloseClose_freesExactlyOnceAndNeverInUse() throws Exception {
    int rounds = 3000;
    AtomicInteger freed = new AtomicInteger();
    AtomicInteger usedAfterFree = new AtomicInteger();
    CyclicBarrier start = new CyclicBarrier(3);
    List<NativeHandle> handles = new ArrayList<>();
    List<AtomicBoolean> gone = new ArrayList<>();
    for (int i = 0; i < rounds; i++) {
      AtomicBoolean flag = new AtomicBoolean();
      gone.add(flag);
      handles.add(
          new NativeHandle(
              i,
              (value, lost) -> {
                flag.set(true);
                freed.incrementAndGet();
              }));
    }
    Thread user =
        each(
            start,
            handles,
            handle -> {
              try {
                handle.use(
                    value -> {
                      if (gone.get((int) value).get()) {
                        usedAfterFree.incrementAndGet();
                      }
                      return value;
                    });
              } catch (IllegalStateException e) {
                // A closer was first.
              }
            });
    Thread first = each(start, handles, NativeHandle::close);
    Thread second = each(start, handles, NativeHandle::close);
    for (Thread thread : List.of(user, first, second)) {
      thread.join();
    }
    assertEquals(rounds, freed.get());
    assertEquals(0, usedAfterFree.get());
  }

  @Test
  void aLostHandleIsFreedAndToldSo() throws Exception {
    CountDownLatch freed = new CountDownLatch(1);
    AtomicBoolean lost = new AtomicBoolean();
    lose(freed, lost);
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    do {
      System.gc();
    } while (!freed.await(50, TimeUnit.MILLISECONDS) && System.nanoTime() < deadline);
    assertEquals(0, freed.getCount());
    assertTrue(lost.get());
  }

  @SuppressWarnings("resource") // losing it is the point
  private static void lose(CountDownLatch freed, AtomicBoolean told) {
    new NativeHandle(
        1,
        (value, lost) -> {
          told.set(lost);
          freed.countDown();
        });
  }

  private interface Action {
    void on(NativeHandle handle);
  }

  private static Thread each(CyclicBarrier start, List<NativeHandle> handles, Action action) {
    Thread thread =
        new Thread(
            () -> {
              try {
                for (NativeHandle handle : handles) {
                  start.await();
                  action.on(handle);
                }
              } catch (Exception e) {
                throw new IllegalStateException(e);
              }
            });
    thread.start();
    return thread;
  }
}
