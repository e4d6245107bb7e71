package org.backupkit.internal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * What became of files, gathered so that the service is told of several at once. That is done only
 * while somebody watches, who calls {@link #look} within a millisecond; otherwise each is told at
 * once. Thread-safe.
 *
 * <pre>
 * message = 1*MOST of (i64 sequence, i8 outcome)   little-endian
 * </pre>
 */
final class Settlements {
  /** The milliseconds after which one who watches looks. */
  static final int PATIENCE = 1;

  private static final int MOST = 16;
  private static final int SIZE = Long.BYTES + Byte.BYTES;
  private static final long NANOS = PATIENCE * 1_000_000L;

  private final Consumer<byte[]> service;
  private final LongSupplier nanoTime;
  private final ByteBuffer gathered = // guarded by this, as are the others
      ByteBuffer.allocate(MOST * SIZE).order(ByteOrder.LITTLE_ENDIAN);
  private long since; // when the first of them came
  private boolean watched;

  /** What is gathered goes to {@code service}, message by message. */
  Settlements(Consumer<byte[]> service, LongSupplier nanoTime) {
    this.service = service;
    this.nanoTime = nanoTime;
  }

  /** Notes what became of a file. */
  synchronized void add(long sequence, int outcome) {
    if (watched && gathered.position() == 0) {
      since = nanoTime.getAsLong();
    }
    gathered.putLong(sequence).put((byte) outcome);
    if (!watched || !gathered.hasRemaining()) {
      send();
    }
  }

  /** Tells what was gathered. */
  synchronized void send() {
    if (gathered.position() > 0) {
      byte[] message = Arrays.copyOf(gathered.array(), gathered.position());
      gathered.clear();
      service.accept(message);
    }
  }

  /** Begins to watch. */
  synchronized void watch() {
    watched = true;
  }

  /** Tells what was gathered if it has waited long enough. */
  synchronized void look() {
    if (gathered.position() > 0 && nanoTime.getAsLong() - since >= NANOS) {
      send();
    }
  }

  /** Ends the watch: nothing is gathered any more. */
  synchronized void leave() {
    watched = false;
    send();
  }
}
