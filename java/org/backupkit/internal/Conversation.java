package org.backupkit.internal;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import org.backupkit.BackupException;
import org.jspecify.annotations.Nullable;

/**
 * What goes to and fro between us and a service, whatever it means: requests and their replies,
 * events, and what became of files. Has the one thread that pulls events, on which the futures
 * given from here complete. Thread-safe.
 */
final class Conversation {
  private static final int FOREVER = -1;

  private final NativeHandle client;
  private final CountDownLatch freed = new CountDownLatch(1);
  private final Connection.Sink sink;
  private final Thread thread;
  private final Settlements settlements = new Settlements(this::tell, System::nanoTime);
  private final Map<Integer, CompletableFuture<Event.Reply>> pending = new ConcurrentHashMap<>();
  private final AtomicInteger lastRequest = new AtomicInteger();
  private volatile boolean ended;
  private volatile boolean closed;

  /**
   * Takes a native client; nothing is pulled before {@link #start}.
   *
   * @param client the client, freed when the conversation has ended
   * @param sink where all events but replies go; told once of the end, whoever wanted it
   */
  Conversation(long client, Connection.Sink sink) {
    CountDownLatch freed = this.freed; // what frees the client must not hold this
    this.client =
        new NativeHandle(
            client,
            (address, lost) -> {
              Bridge.destroy(address);
              freed.countDown();
            });
    this.sink = sink;
    this.thread = SerialExecutor.daemon(this::pull, "backupkit-events");
  }

  /** Begins to pull events. */
  void start() {
    thread.start();
  }

  /** Tells whether the service can be asked: false once it died or this was closed. */
  boolean isAlive() {
    return !ended && !closed;
  }

  /** Tells whether our side ended it. */
  boolean isClosed() {
    return closed;
  }

  /** Sends a request under its number. */
  @FunctionalInterface
  interface Send {
    void send(long address, int request) throws BackupException;
  }

  /** Asks; the reply's error fails the future, as does the end of the conversation. */
  CompletableFuture<Event.Reply> ask(Send send) {
    return ask(send, Function.identity());
  }

  /**
   * Asks as {@link #ask(Send)} does. {@code first} runs on the event thread before anything else
   * sees the reply; a failed one is passed on with its error.
   */
  CompletableFuture<Event.Reply> ask(Send send, Function<Event.Reply, Event.Reply> first) {
    CompletableFuture<Event.Reply> reply = new CompletableFuture<>();
    int request = lastRequest.incrementAndGet();
    pending.put(request, reply);
    CompletableFuture<Event.Reply> result =
        reply.thenApply(first).thenCompose(Conversation::successful);
    try {
      settlements.send(); // what was closed before is known before it is asked for
      if (ended) { // looked at after the put: the event thread fails what is there when it ends
        throw Failures.disconnected();
      }
      client.use(
          address -> {
            send.send(address, request);
            return request;
          });
    } catch (BackupException e) {
      fail(request, e);
    } catch (IllegalStateException e) {
      fail(request, Failures.disconnected());
    }
    return result;
  }

  /**
   * Sends a request and waits for its reply.
   *
   * @throws BackupException its failure
   * @throws IllegalStateException on the thread that brings replies; nothing was sent
   */
  Event.Reply await(Supplier<CompletableFuture<Event.Reply>> request) throws BackupException {
    if (Thread.currentThread() == thread) {
      throw new IllegalStateException(
          "the thread that brings the reply must not wait for it: give the session an executor"
              + " with threads of its own");
    }
    try {
      return request.get().join();
    } catch (CompletionException e) {
      throw Replies.failure(e);
    }
  }

  /** Tells the service what became of a file; within a millisecond, if it may go with others. */
  void settle(long sequence, int outcome) {
    settlements.add(sequence, outcome);
  }

  /** Tells the service now what became of files so far, of those that go together. */
  void settle() {
    settlements.send();
  }

  /** Ends it and waits until nothing of it is left. A second call does nothing. */
  void close() {
    abandon();
    if (Thread.currentThread() != thread) {
      awaitTheEnd();
    }
  }

  /** Ends it without waiting. */
  void abandon() {
    closed = true;
    shutdown();
  }

  // The thread's, and the client's, which another thread's call may still be at.
  private void awaitTheEnd() {
    boolean interrupted = false;
    for (boolean ended = false; !ended; ) {
      try {
        thread.join();
        freed.await();
        ended = true;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void tell(byte[] settled) {
    try {
      client.use(
          address -> {
            Bridge.settle(address, settled);
            return settled;
          });
    } catch (BackupException | IllegalStateException e) {
      // The connection has ended: nobody counts any more.
    }
  }

  private void shutdown() {
    try {
      client.use(
          address -> {
            Bridge.shutdown(address);
            return address;
          });
    } catch (IllegalStateException e) {
      // Ended already.
    }
  }

  private void fail(int request, BackupException error) {
    CompletableFuture<Event.Reply> reply = pending.remove(request);
    if (reply != null) {
      reply.completeExceptionally(error);
    }
  }

  private static CompletableFuture<Event.Reply> successful(Event.Reply reply) {
    BackupException error = reply.error();
    if (error == null) {
      return CompletableFuture.completedFuture(reply);
    }
    Descriptors.discard(reply.fds());
    return CompletableFuture.failedFuture(error);
  }

  private void pull() {
    BackupException reason = Failures.disconnected();
    try {
      int patience = FOREVER;
      while (true) {
        byte[] batch = await(patience);
        if (batch == null) {
          break;
        }
        List<Event> events = EventReader.read(batch, Descriptors::discard);
        if (events.isEmpty()) {
          patience = FOREVER;
          settlements.leave();
        } else if (events.stream().anyMatch(Event.FileReady.class::isInstance)) {
          patience = Settlements.PATIENCE;
          settlements.watch();
        }
        settlements.look();
        events.forEach(this::dispatch);
      }
    } catch (BackupException e) {
      reason = e;
    } finally {
      end(reason);
    }
  }

  private byte @Nullable [] await(int patience) throws BackupException {
    return client.use(address -> Bridge.awaitEvents(address, patience));
  }

  private void dispatch(Event event) {
    if (!(event instanceof Event.Reply reply)) {
      sink.accept(event);
      return;
    }
    CompletableFuture<Event.Reply> waiting = pending.remove(reply.request());
    if (waiting != null) {
      waiting.complete(reply);
    } else {
      Descriptors.discard(reply.fds());
    }
  }

  private void end(BackupException reason) {
    ended = true;
    shutdown();
    for (Integer request : List.copyOf(pending.keySet())) {
      fail(request, reason);
    }
    sink.died();
    client.close();
  }
}
