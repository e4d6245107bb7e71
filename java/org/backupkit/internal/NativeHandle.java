package org.backupkit.internal;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Owns one native value; frees it once, when closed and no longer in use. A lost one is freed by a
 * Cleaner. Safe for all threads.
 */
public final class NativeHandle implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final State state;
  private final Cleaner.Cleanable cleanable;

  /**
   * Takes ownership of a value.
   *
   * @param value the value
   * @param release frees it; must not refer to this handle or to what holds it
   */
  @SuppressWarnings("this-escape")
  public NativeHandle(long value, Release release) {
    this.state = new State(value, release);
    this.cleanable = CLEANER.register(this, state::lose);
  }

  /**
   * Works with the value, which is not freed meanwhile.
   *
   * @param <T> what the work gives
   * @param <X> what the work throws
   * @param call the work; must not keep the value
   * @return what the work gives
   * @throws IllegalStateException if the handle is closed
   * @throws X if the work does
   */
  public <T, X extends Exception> T use(Call<T, X> call) throws X {
    state.enter();
    try {
      return call.apply(state.value);
    } finally {
      state.exit();
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Gives the value away, unfreed.
   *
   * @return the value, now the caller's
   * @throws IllegalStateException if the handle is closed
   */
  public long detach() {
    long value = state.detach();
    cleanable.clean();
    return value;
  }

  /**
   * Tells whether the value can be used.
   *
   * @return false once closed or detached
   */
  public boolean isOpen() {
    return state.word.get() >= 0;
  }

  /** Frees the value, or leaves that to its last user. A second call does nothing. */
  @Override
  public void close() {
    state.close(false);
    cleanable.clean();
  }

  /**
   * Work with a value.
   *
   * @param <T> what it gives
   * @param <X> what it throws
   */
  @FunctionalInterface
  public interface Call<T, X extends Exception> {
    /**
     * Does the work.
     *
     * @param value the handle's value
     * @return what the work gives
     * @throws X as the work does
     */
    T apply(long value) throws X;
  }

  /** Frees a value. */
  @FunctionalInterface
  public interface Release {
    /**
     * Frees the value; called once, and must not throw.
     *
     * @param value the value
     * @param lost true when nobody closed the handle
     */
    void release(long value, boolean lost);
  }

  // The word is the number of users; its sign bit says closed, the bit below that the value was
  // given away.
  private static final class State {
    private static final int CLOSED = Integer.MIN_VALUE;
    private static final int DETACHED = 1 << 30;

    private final AtomicInteger word = new AtomicInteger();
    private final long value;
    private final Release release;

    State(long value, Release release) {
      this.value = value;
      this.release = release;
    }

    void enter() {
      word.updateAndGet(
          old -> {
            requireOpen(old);
            return old + 1;
          });
    }

    void exit() {
      if (word.decrementAndGet() == CLOSED) {
        release.release(value, false);
      }
    }

    void close(boolean lost) {
      if (word.getAndUpdate(old -> old | CLOSED) == 0) {
        release.release(value, lost);
      }
    }

    void lose() {
      close(true);
    }

    long detach() {
      word.updateAndGet(
          old -> {
            requireOpen(old);
            return old | CLOSED | DETACHED;
          });
      return value;
    }

    private static void requireOpen(int word) {
      if (word < 0) {
        throw new IllegalStateException("closed");
      }
    }
  }
}
