package org.backupkit.store;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The store's reading and writing of JSON. Stateless. */
final class Json {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private Json() {}

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /** Reads an object; what it is, or whose, is {@code what} in the failure's message. */
  static ObjectNode parse(byte[] text, String what) throws IOException {
    try {
      if (MAPPER.readTree(text) instanceof ObjectNode object) {
        return object;
      }
    } catch (JsonProcessingException e) {
      throw new IOException(what + " is not valid JSON: " + e.getOriginalMessage(), e);
    }
    throw new IOException(what + " is not a JSON object");
  }

  static ArrayNode array() {
    return MAPPER.createArrayNode();
  }

  static ArrayNode readArray(Path file) throws IOException {
    try {
      if (MAPPER.readTree(Files.readAllBytes(file)) instanceof ArrayNode array) {
        return array;
      }
    } catch (JsonProcessingException e) {
      throw new IOException("\"" + file + "\" is not valid JSON: " + e.getOriginalMessage(), e);
    }
    throw new IOException("\"" + file + "\" is not a JSON array");
  }

  static ObjectNode read(Path file) throws IOException {
    return parse(Files.readAllBytes(file), "\"" + file + "\"");
  }

  static byte[] bytes(JsonNode node) {
    try {
      return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(node);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * What the service's onResultReport says; {@code space} is what all that was taken has in it,
   * {@code lost} how much could not be stored, {@code whyFull} why an incremental backup left
   * nothing out.
   */
  record Totals(
      long bytesMoved,
      long bytesShared,
      long space,
      long lost,
      List<String> details,
      String whyFull) {
    static final Totals NONE = new Totals(0, 0, 0, 0, List.of(), "");
  }

  /**
   * The totals of a report; {@code otherwise} where it has none: an app's own text may be anything.
   */
  static Totals totals(String report, Totals otherwise) {
    JsonNode infos;
    try {
      infos = MAPPER.readTree(report).path("resultInfo");
    } catch (JsonProcessingException e) {
      return otherwise;
    }
    List<String> details = new ArrayList<>();
    Totals found = otherwise;
    for (JsonNode info : infos) {
      if (info.path("type").asText().equals("CountInfo")) {
        for (JsonNode count : info.path("infos")) {
          count
              .path("details")
              .forEach(d -> details.add(d.isTextual() ? d.asText() : d.toString()));
        }
      } else if (info.path("type").asText().equals("Totals")) {
        found =
            new Totals(
                info.path("bytesMoved").asLong(),
                info.path("bytesShared").asLong(),
                info.path("spaceOccupied").asLong(),
                info.path("unreadable").asLong()
                    + info.path("unsupported").asLong()
                    + info.path("unstable").asLong(),
                details,
                info.path("whyFull").asText());
      }
    }
    return found;
  }
}
