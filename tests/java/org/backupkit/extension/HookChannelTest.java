package org.backupkit.extension;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.channels.Pipe;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(value = 60, threadMode = ThreadMode.SEPARATE_THREAD)
class HookChannelTest {
  private static final BackupExtensionContext CONTEXT =
      new BackupExtensionContext("com.example.notes", Path.of("/app"), Path.of("/app/.backup"));

  private Pipe requests;
  private Pipe answers;
  private Thread run;

  /** Records every call and answers with its own name. */
  private static class Full extends BackupExtension {
    final BlockingQueue<String> calls = new LinkedBlockingQueue<>();

    private String called(String what) {
      calls.add(what + " on " + Thread.currentThread().getName());
      return what;
    }

    @Override
    protected void onBackup() {
      called("onBackup");
    }

    @Override
    protected String onBackupEx(String backupInfo) {
      return called("onBackupEx " + backupInfo);
    }

    @Override
    protected void onRestore(BundleVersion version) {
      called("onRestore " + version);
    }

    @Override
    protected String onRestoreEx(BundleVersion version, String restoreInfo) {
      return called("onRestoreEx " + version + " " + restoreInfo);
    }

    @Override
    protected String onProcess() {
      called("onProcess");
      return "half";
    }

    @Override
    protected String onGetBackupInfo() {
      return called("onGetBackupInfo");
    }

    @Override
    protected String getBackupCompatibilityInfo(String extInfo) {
      return called("getBackupCompatibilityInfo " + extInfo);
    }

    @Override
    protected String getRestoreCompatibilityInfo(String extInfo) {
      return called("getRestoreCompatibilityInfo " + extInfo);
    }

    @Override
    protected void onRelease(Scenario scenario) {
      called("onRelease " + scenario);
    }
  }

  /** Answers onBackupEx with whatever the test says. */
  private abstract static class BackupEx extends BackupExtension {
    abstract String text(String info) throws Exception;

    @Override
    protected String onBackupEx(String backupInfo) throws Exception {
      return text(backupInfo);
    }
  }

  private Hook start(BackupExtension extension) throws IOException {
    requests = Pipe.open();
    answers = Pipe.open();
    run =
        new Thread(
            () ->
                HookChannel.serve(
                    extension,
                    CONTEXT,
                    Channels.newInputStream(requests.source()),
                    Channels.newOutputStream(answers.sink())),
            "app");
    run.start();
    return new Hook(
        Channels.newOutputStream(requests.sink()), Channels.newInputStream(answers.source()));
  }

  private Hook startAndGreet(BackupExtension extension) throws IOException {
    Hook hook = start(extension);
    assertEquals(1, Hook.parse(hook.read()).path("hook").asInt());
    return hook;
  }

  @AfterEach
  void endOfInput_endsTheRun() throws Exception {
    requests.sink().close();
    run.join();
    requests.source().close();
    answers.sink().close();
    answers.source().close();
  }

  @Test
  void greeting_namesEveryCallOfAFullExtension() throws IOException {
    assertEquals(
        "{\"hook\":1,\"calls\":[\"getBackupInfo\",\"onBackup\",\"onBackupEx\",\"onRestore\","
            + "\"onRestoreEx\",\"onProcess\",\"getBackupCompatibilityInfo\","
            + "\"getRestoreCompatibilityInfo\",\"onRelease\"]}",
        start(new Full()).read());
  }

  @Test
  void greeting_namesNothingOfAnExtensionThatOverridesNothing() throws IOException {
    assertEquals("{\"hook\":1,\"calls\":[]}", start(new BackupExtension() {}).read());
  }

  @Test
  void greeting_namesWhatAClassBetweenOverridesButNoOverload() throws IOException {
    class Between extends BackupEx {
      @Override
      String text(String info) {
        return info;
      }

      @SuppressWarnings("unused")
      void onRestore(String notTheVersion) {}
    }
    assertEquals("{\"hook\":1,\"calls\":[\"onBackupEx\"]}", start(new Between() {}).read());
  }

  @Test
  void everyCall_reachesItsMethodOnTheThreadOfRun() throws Exception {
    Full full = new Full();
    Hook hook = startAndGreet(full);
    String version = ",\"version\":{\"code\":5000000000,\"name\":\"5.0\"}";
    String said = "BundleVersion[code=5000000000, name=5.0]";

    assertCall(hook, full, "getBackupInfo", "", "onGetBackupInfo", true);
    assertCall(hook, full, "onBackup", "", "onBackup", false);
    assertCall(hook, full, "onBackupEx", ",\"info\":\"[1]\"", "onBackupEx [1]", true);
    assertCall(hook, full, "onRestore", version, "onRestore " + said, false);
    String restoreEx = "onRestoreEx " + said + " ä";
    assertCall(hook, full, "onRestoreEx", version + ",\"info\":\"ä\"", restoreEx, true);
    String compatibility = "getBackupCompatibilityInfo";
    assertCall(hook, full, compatibility, ",\"info\":\"x\"", compatibility + " x", true);
    compatibility = "getRestoreCompatibilityInfo";
    assertCall(hook, full, compatibility, ",\"info\":\"x\"", compatibility + " x", true);
    String scenario = ",\"scenario\":\"RESTORE\"";
    assertCall(hook, full, "onRelease", scenario, "onRelease RESTORE", false);
  }

  private static void assertCall(
      Hook hook, Full full, String call, String members, String called, boolean answersIt)
      throws Exception {
    assertEquals(answersIt ? called : "", hook.ask(call, members).path("result").asText());
    assertEquals(called + " on app", full.calls.take());
  }

  @Test
  void onProcess_isAnsweredWhileOnBackupWorks() throws Exception {
    CountDownLatch mayEnd = new CountDownLatch(1);
    Full slow =
        new Full() {
          @Override
          protected void onBackup() {
            super.onBackup();
            try {
              mayEnd.await();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
          }
        };
    Hook hook = startAndGreet(slow);
    int backup = hook.send("onBackup", "");
    assertEquals("onBackup on app", slow.calls.take());
    for (int i = 0; i < 3; i++) {
      assertEquals("half", hook.ask("onProcess", "").path("result").asText());
      assertEquals("onProcess on backupkit-hook-process", slow.calls.take());
    }
    mayEnd.countDown();
    assertEquals("", hook.answer(backup).path("result").asText());
  }

  @Test
  void aHangingOnProcess_doesNotHoldTheOtherCalls() throws Exception {
    CountDownLatch never = new CountDownLatch(1);
    Full full =
        new Full() {
          @Override
          protected String onProcess() {
            super.onProcess();
            try {
              never.await();
            } catch (InterruptedException e) {
              throw new IllegalStateException(e);
            }
            return "";
          }
        };
    Hook hook = startAndGreet(full);
    for (int i = 0; i < 3; i++) {
      hook.send("onProcess", "");
    }
    assertEquals("", hook.ask("onBackup", "").path("result").asText());
    never.countDown();
  }

  @Test
  void anException_isAnErrorWithItsMessage() throws IOException {
    Hook hook =
        startAndGreet(
            new BackupEx() {
              @Override
              String text(String info) throws Exception {
                switch (info) {
                  case "checked" -> throw new IOException("the disk is \"full\"\nof notes");
                  case "silent" -> throw new NullPointerException();
                  case "deep" -> {
                    return text(info);
                  }
                  default -> {
                    return info;
                  }
                }
              }
            });
    JsonNode failed = hook.ask("onBackupEx", ",\"info\":\"checked\"");
    assertEquals("the disk is \"full\"\nof notes", failed.path("error").asText());
    assertFalse(failed.has("result"));
    String name = hook.ask("onBackupEx", ",\"info\":\"silent\"").path("error").asText();
    assertEquals("java.lang.NullPointerException", name);
    name = hook.ask("onBackupEx", ",\"info\":\"deep\"").path("error").asText();
    assertEquals("java.lang.StackOverflowError", name);
    assertEquals("x", hook.ask("onBackupEx", ",\"info\":\"x\"").path("result").asText());
  }

  @Test
  void anUnknownCallOrScenario_isAnError() throws IOException {
    Hook hook = startAndGreet(new Full());
    assertEquals("no such call: \"toString\"", hook.ask("toString", "").path("error").asText());
    assertTrue(hook.ask("onRelease", ",\"scenario\":\"x\"").has("error"));
  }

  @Test
  void anAnswer_hasAtMost32768Bytes() throws IOException {
    Hook hook =
        startAndGreet(
            new BackupEx() {
              @Override
              String text(String info) {
                int length = Integer.parseInt(info.substring(1));
                if (info.charAt(0) == 'e') {
                  throw new IllegalStateException("x" + "ä".repeat(length));
                }
                return "ä".repeat(length);
              }
            });
    JsonNode most = hook.ask("onBackupEx", ",\"info\":\"a16384\"");
    assertEquals("ä".repeat(16384), most.path("result").asText());
    assertEquals(
        "onBackupEx gave 32770 bytes; 32768 are allowed",
        hook.ask("onBackupEx", ",\"info\":\"a16385\"").path("error").asText());
    JsonNode cut = hook.ask("onBackupEx", ",\"info\":\"e20000\"");
    assertEquals("x" + "ä".repeat(16383), cut.path("error").asText());
  }

  @Test
  void aNullAndALoneSurrogate_areAnswered() throws IOException {
    Hook hook =
        startAndGreet(
            new BackupEx() {
              @Override
              String text(String info) {
                return info.isEmpty() ? null : "a\ud800b";
              }
            });
    assertEquals("", hook.ask("onBackupEx", "").path("result").asText());
    assertEquals("a?b", hook.ask("onBackupEx", ",\"info\":\"x\"").path("result").asText());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "  ",
        "garbage",
        "{",
        "[]",
        "7",
        "null",
        "{\"call\":\"onBackup\"}",
        "{\"id\":\"1\",\"call\":\"onBackup\"}",
        "{\"id\":1,\"call\":\"onBackup\"} {}",
        "\u0000\ufffd"
      })
  void aLineThatIsNoRequest_isIgnored(String line) throws Exception {
    Full full = new Full();
    Hook hook = startAndGreet(full);
    hook.line(line);
    hook.line("[".repeat(100_000));
    assertEquals("onGetBackupInfo", hook.ask("getBackupInfo", "").path("result").asText());
    assertEquals("onGetBackupInfo on app", full.calls.take());
    assertTrue(full.calls.isEmpty());
  }

  @Test
  void anInfoOfOneMebibyte_arrivesWhole() throws IOException {
    Hook hook =
        startAndGreet(
            new BackupEx() {
              @Override
              String text(String info) {
                return info.getBytes(StandardCharsets.UTF_8).length + " " + info.hashCode();
              }
            });
    String info = "ä\"\u0001\\".repeat((1 << 20) / 5) + "x";
    assertEquals(
        (1 << 20) + " " + info.hashCode(),
        hook.ask("onBackupEx", ",\"info\":" + Hook.JSON.writeValueAsString(info))
            .path("result")
            .asText());
  }

  @Test
  void theContext_isThereFromTheGreetingOn() throws IOException {
    Hook hook =
        startAndGreet(
            new BackupEx() {
              @Override
              String text(String info) {
                return context().toString();
              }
            });
    assertEquals(CONTEXT.toString(), hook.ask("onBackupEx", "").path("result").asText());
  }

  @Test
  void requestsBeforeTheEnd_areAnsweredAndTheRestIsNot() throws Exception {
    Full full = new Full();
    Hook hook = startAndGreet(full);
    int first = hook.send("onBackup", "");
    int last = hook.send("onRelease", ",\"scenario\":\"BACKUP\"");
    hook.close();
    hook.answer(first);
    hook.answer(last);
    run.join();
    answers.sink().close();
    assertNull(hook.read());
    assertEquals(List.of("onBackup on app", "onRelease BACKUP on app"), List.copyOf(full.calls));
  }

  @Test
  void aServiceThatIsGone_endsTheRun() throws Exception {
    Full full = new Full();
    Hook hook = startAndGreet(full);
    answers.source().close();
    hook.send("onBackup", "");
    assertEquals("onBackup on app", full.calls.take());
  }
}
