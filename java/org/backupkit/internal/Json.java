package org.backupkit.internal;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import org.backupkit.BackupException;
import org.jspecify.annotations.Nullable;

/** The reading and writing of callers' JSON. Stateless. */
final class Json {
  private static final int MAX_DEPTH = 100;

  // Numbers keep all their digits: what is handed on to an app is not ours to round.
  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(MAX_DEPTH).build())
                  .build())
          .enable(JsonReadFeature.ALLOW_JAVA_COMMENTS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
          .build();

  private Json() {}

  /** Reads one object, comments allowed; throws 13900020 for anything else. */
  static ObjectNode object(@Nullable String text, String what) throws BackupException {
    try {
      if (MAPPER.readTree(Arguments.present(text, what)) instanceof ObjectNode object) {
        return object;
      }
    } catch (JsonProcessingException e) {
      throw notJson(what, e.getOriginalMessage(), e);
    } catch (NumberFormatException e) { // Jackson's answer to 1e99999999999, which is JSON
      throw notJson(what, "a number's exponent is out of range", e);
    }
    throw Arguments.invalid(what + " is not a JSON object");
  }

  /** The elements of an array in an object; none where there is no such array. */
  static Iterable<JsonNode> elements(JsonNode object, String key) {
    return object.path(key) instanceof ArrayNode array ? array : List.of();
  }

  static String text(Object value) {
    try {
      return MAPPER.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static BackupException notJson(String what, String why, Exception cause) {
    BackupException failure = Arguments.invalid(what + " cannot be read as JSON: " + why);
    failure.initCause(cause);
    return failure;
  }
}
