package org.backupkit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class SettlementsTest {
  private final List<List<String>> told = new ArrayList<>();
  private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 10); // it may run over
  private final Settlements settlements =
      new Settlements(message -> told.add(read(message)), nanos::get);

  @Test
  void unwatched_eachIsToldAtOnce() {
    settlements.add(7, 0);
    settlements.add(-1, 1);
    assertEquals(List.of(List.of("7 0"), List.of("-1 1")), told);
  }

  @Test
  void watched_sixteenGoTogether() {
    settlements.watch();
    LongStream.range(0, 40).forEach(i -> settlements.add(i, 1));
    assertEquals(List.of(range(0, 16), range(16, 32)), told);
    settlements.send();
    settlements.send();
    assertEquals(List.of(range(0, 16), range(16, 32), range(32, 40)), told);
  }

  @Test
  void aLook_tellsWhatHasWaitedForAMillisecond() {
    settlements.watch();
    settlements.add(0, 1);
    nanos.addAndGet(600_000);
    settlements.add(1, 1);
    settlements.look();
    assertEquals(List.of(), told);
    nanos.addAndGet(400_000);
    settlements.look();
    assertEquals(List.of(range(0, 2)), told);
    settlements.look();
    assertEquals(1, told.size());
  }

  @Test
  void theEndOfTheWatch_tellsAll_andNothingIsGatheredAfterIt() {
    settlements.watch();
    settlements.add(0, 1);
    settlements.leave();
    settlements.add(1, 1);
    assertEquals(List.of(range(0, 1), range(1, 2)), told);
  }

  @Test
  void ofManyThreads_eachIsToldOnce() throws InterruptedException {
    settlements.watch();
    ExecutorService pool = Executors.newFixedThreadPool(4);
    IntStream.range(0, 4).forEach(part -> pool.execute(() -> addAll(part * 1000)));
    pool.shutdown();
    assertEquals(true, pool.awaitTermination(30, TimeUnit.SECONDS));
    settlements.leave();
    assertEquals(
        range(0, 4000).stream().sorted().toList(),
        told.stream().flatMap(List::stream).sorted().toList());
  }

  private void addAll(int first) {
    for (int i = first; i < first + 1000; i++) {
      settlements.add(i, 1);
      settlements.look();
    }
  }

  private static List<String> range(int from, int to) {
    return IntStream.range(from, to).mapToObj(i -> i + " 1").toList();
  }

  private static List<String> read(byte[] message) {
    ByteBuffer in = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
    List<String> all = new ArrayList<>();
    while (in.hasRemaining()) {
      all.add(in.getLong() + " " + in.get());
    }
    return all;
  }
}
