package org.backupkit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class RepliesTest {
  @Test
  void aReplyForWhichThereIsNoThread_arrivesAllTheSame() {
    CompletableFuture<String> reply = new CompletableFuture<>();
    CompletableFuture<String> result =
        Replies.forCaller(
            reply,
            unwanted -> {},
            task -> {
              throw new OutOfMemoryError("unable to create native thread");
            });
    reply.complete("answer");
    assertEquals("answer", result.getNow("nothing"));
  }
}
