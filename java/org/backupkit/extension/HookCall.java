package org.backupkit.extension;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The calls of the hook protocol and the method that each of them ends in. */
enum HookCall {
  GET_BACKUP_INFO("getBackupInfo", (app, request) -> app.onGetBackupInfo(), "onGetBackupInfo"),
  BACKUP(
      "onBackup",
      (app, request) -> {
        app.onBackup();
        return "";
      },
      "onBackup"),
  BACKUP_EX(
      "onBackupEx", (app, request) -> app.onBackupEx(info(request)), "onBackupEx", String.class),
  RESTORE(
      "onRestore",
      (app, request) -> {
        app.onRestore(version(request));
        return "";
      },
      "onRestore",
      BundleVersion.class),
  RESTORE_EX(
      "onRestoreEx",
      (app, request) -> app.onRestoreEx(version(request), info(request)),
      "onRestoreEx",
      BundleVersion.class,
      String.class),
  PROCESS("onProcess", (app, request) -> app.onProcess(), "onProcess"),
  BACKUP_COMPATIBILITY(
      "getBackupCompatibilityInfo",
      (app, request) -> app.getBackupCompatibilityInfo(info(request)),
      "getBackupCompatibilityInfo",
      String.class),
  RESTORE_COMPATIBILITY(
      "getRestoreCompatibilityInfo",
      (app, request) -> app.getRestoreCompatibilityInfo(info(request)),
      "getRestoreCompatibilityInfo",
      String.class),
  RELEASE(
      "onRelease",
      (app, request) -> {
        app.onRelease(Scenario.valueOf(request.path("scenario").asText()));
        return "";
      },
      "onRelease",
      Scenario.class);

  /** Asks an app; an app that is not null-marked may give null. */
  @FunctionalInterface
  private interface Question {
    @Nullable String ask(BackupExtension app, JsonNode request) throws Exception;
  }

  private final String word;
  private final Question question;
  private final String method;
  private final Class<?>[] parameters;

  HookCall(String word, Question question, String method, Class<?>... parameters) {
    this.word = word;
    this.question = question;
    this.method = method;
    this.parameters = parameters;
  }

  /** The name in the protocol. */
  String word() {
    return word;
  }

  /** Runs the app's method; gives its text, "" for none. */
  String ask(BackupExtension app, JsonNode request) throws Exception {
    String text = question.ask(app, request);
    return text == null ? "" : text;
  }

  /** The call of that name; fails with IllegalArgumentException where there is none. */
  static HookCall of(String word) {
    return Stream.of(values())
        .filter(call -> call.word.equals(word))
        .findAny()
        .orElseThrow(() -> new IllegalArgumentException("no such call: \"" + word + "\""));
  }

  /** The calls whose methods a class or one between it and BackupExtension overrides. */
  static List<HookCall> overriddenBy(Class<? extends BackupExtension> type) {
    return Stream.of(values()).filter(call -> call.isOverriddenBy(type)).toList();
  }

  private boolean isOverriddenBy(Class<?> type) {
    for (Class<?> at = type; at != BackupExtension.class; at = at.getSuperclass()) {
      boolean declares =
          Stream.of(at.getDeclaredMethods())
              .anyMatch(
                  own ->
                      own.getName().equals(method)
                          && Arrays.equals(own.getParameterTypes(), parameters));
      if (declares) {
        return true;
      }
    }
    return false;
  }

  private static String info(JsonNode request) {
    return request.path("info").asText();
  }

  private static BundleVersion version(JsonNode request) {
    JsonNode version = request.path("version");
    return new BundleVersion(version.path("code").asLong(), version.path("name").asText());
  }
}
