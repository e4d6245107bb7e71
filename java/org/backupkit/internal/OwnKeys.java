package org.backupkit.internal;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The keys of {@code infos} and {@code BackupParams.parameters} that are said to us.
 *
 * <pre>
 *   restoreMode          "merge" | "mirror"
 *   resume               true | false; see {@link org.backupkit.SessionRestore}
 *   integrity            "full" | "none"; true and false mean these
 *   backupScene          text or number
 *   clearBackupData      true | false; "true" means true, any other text false. With false what is
 *                        in the sandbox's .backup for the app outlasts the session
 *   delayTime            seconds, a number or digits; above 1800 is taken as 1800
 *   isSupportWithoutTar  true | false; with true no file with content is packed
 * </pre>
 *
 * A value of another form is passed over, as if the key were not there.
 */
final class OwnKeys {
  private static final int MAX_DELAY = 1800;
  private static final Pattern SECONDS = Pattern.compile("[0-9]{1,9}");

  private static final Map<String, Function<JsonNode, @Nullable Object>> READERS =
      Map.of(
          "restoreMode", OwnKeys::restoreMode,
          "resume", OwnKeys::flag,
          "isSupportWithoutTar", OwnKeys::flag,
          "integrity", OwnKeys::integrity,
          "backupScene", OwnKeys::scene,
          "clearBackupData", OwnKeys::clear,
          "delayTime", OwnKeys::delay);

  private OwnKeys() {}

  static Map<String, Object> none() {
    return new TreeMap<>();
  }

  /** Those that an object has, each as String, Boolean or Integer; the map is the caller's. */
  static Map<String, Object> of(ObjectNode object) {
    Map<String, Object> found = none();
    READERS.forEach(
        (key, reader) -> {
          Object value = reader.apply(object.path(key));
          if (value != null) {
            found.put(key, value);
          }
        });
    return found;
  }

  private static @Nullable Object restoreMode(JsonNode value) {
    return oneOf(value.asText(), "merge", "mirror");
  }

  private static @Nullable Object flag(JsonNode value) {
    return value.isBoolean() ? value.booleanValue() : null;
  }

  private static @Nullable Object integrity(JsonNode value) {
    return value.isBoolean()
        ? (value.booleanValue() ? "full" : "none")
        : oneOf(value.asText(), "full", "none");
  }

  private static @Nullable Object scene(JsonNode value) {
    return value.isTextual() || value.isNumber() ? value.asText() : null;
  }

  private static @Nullable Object clear(JsonNode value) {
    return value.isBoolean() || value.isTextual() ? value.asText().equals("true") : null;
  }

  private static @Nullable Object delay(JsonNode value) {
    // As a double: an integer made of 1e999999999 would fill the memory.
    double seconds = value.isNumber() ? value.doubleValue() : -1;
    if (value.isTextual() && SECONDS.matcher(value.textValue()).matches()) {
      seconds = Integer.parseInt(value.textValue());
    }
    return seconds < 0 ? null : (int) Math.min(seconds, MAX_DELAY);
  }

  private static @Nullable Object oneOf(String value, String one, String other) {
    return value.equals(one) || value.equals(other) ? value : null;
  }
}
