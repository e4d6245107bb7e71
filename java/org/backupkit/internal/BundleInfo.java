package org.backupkit.internal;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.backupkit.BackupException;
import org.jspecify.annotations.Nullable;

/**
 * What a caller tells of one bundle in an element of {@code infos}. Immutable.
 *
 * <pre>
 *   element = { "infos": [entry...], own keys }            comments are allowed
 *   entry   = { "type": "unicast" | "broadcast", "bundleName": text, "details": [detail...] }
 *   detail  = { "type": text, "detail": anything, ... }
 *   mapping = { "source": text, "target": text }           in the array "detail" of a detail whose
 *                                                          type is "app_mapping_relation"
 * </pre>
 *
 * The bundleName may be absent. An entry, detail or mapping of another form is passed over; unknown
 * keys are ignored; of two equal keys the last one counts. The own keys are {@link OwnKeys}'.
 *
 * @param entries what is to be handed on
 * @param ownKeys what is said to us
 */
public record BundleInfo(List<Entry> entries, Map<String, Object> ownKeys) {
  /** What is said when there is no element. */
  public static final BundleInfo NONE = new BundleInfo(List.of(), Map.of());

  private static final String MAPPING = "app_mapping_relation";

  /** Whom an entry is for. */
  public enum Type {
    /** The app itself. */
    UNICAST,
    /** Everyone. */
    BROADCAST
  }

  /**
   * One entry of the array.
   *
   * @param type whom it is for
   * @param bundleName the app it is for; null where it says none
   * @param details what it says
   */
  public record Entry(Type type, @Nullable String bundleName, List<Detail> details) {}

  /**
   * One detail of an entry.
   *
   * @param type its type; "" where it says none
   * @param mappings the pairs it has, if its type is app_mapping_relation
   * @param json all of it, as JSON without comments
   */
  public record Detail(String type, List<Mapping> mappings, String json) {}

  /**
   * An app that has another name on the new device.
   *
   * @param source its old name
   * @param target its new name
   */
  public record Mapping(String source, String target) {}

  /**
   * Reads an element of {@code infos}.
   *
   * @param text the element
   * @param what its name for the failure's message
   * @return what it says
   * @throws BackupException 13900020 if it is not one JSON object or is nested too deeply
   */
  public static BundleInfo parse(@Nullable String text, String what) throws BackupException {
    ObjectNode element = Json.object(text, what);
    List<Entry> entries = new ArrayList<>();
    for (JsonNode node : Json.elements(element, "infos")) {
      entry(node).ifPresent(entries::add);
    }
    return new BundleInfo(List.copyOf(entries), Collections.unmodifiableMap(OwnKeys.of(element)));
  }

  /**
   * The text that is handed to the app.
   *
   * @param bundle the app
   * @return a JSON array of the details of all unicast entries for it; "" where there is no such
   *     entry
   */
  public String appInfo(String bundle) {
    List<Entry> mine = entries.stream().filter(entry -> isFor(entry, bundle)).toList();
    List<String> details =
        mine.stream().flatMap(entry -> entry.details().stream()).map(Detail::json).toList();
    return mine.isEmpty() ? "" : "[" + String.join(",", details) + "]";
  }

  /**
   * The name under which the app was backed up.
   *
   * @param bundle the app's name here
   * @return the source of the first mapping whose target it is, else its name here
   * @throws BackupException 13900020 if that source is not a bundle name
   */
  public String sourceOf(String bundle) throws BackupException {
    Optional<String> source =
        entries.stream()
            .flatMap(entry -> entry.details().stream())
            .flatMap(detail -> detail.mappings().stream())
            .filter(mapping -> mapping.target().equals(bundle))
            .map(Mapping::source)
            .findFirst();
    return source.isPresent() ? Arguments.bundleName(source.get()) : bundle;
  }

  /**
   * The own keys of this element over those of {@code BackupParams.parameters}.
   *
   * @param parameters a JSON object, comments allowed, or "" for none
   * @return a JSON object of the keys that either has and that have a meaning, each with its usual
   *     type
   * @throws BackupException 13900020 if the parameters are not one JSON object
   */
  public String options(String parameters) throws BackupException {
    Map<String, Object> merged =
        parameters.isEmpty() ? OwnKeys.none() : OwnKeys.of(Json.object(parameters, "parameters"));
    merged.putAll(ownKeys);
    return Json.text(merged);
  }

  private static boolean isFor(Entry entry, String bundle) {
    return entry.type() == Type.UNICAST
        && (entry.bundleName() == null || entry.bundleName().equals(bundle));
  }

  private static Optional<Entry> entry(JsonNode node) {
    JsonNode name = node.path("bundleName");
    boolean isNamed = name.isTextual();
    if (!node.path("details").isArray() || !(isNamed || name.isMissingNode() || name.isNull())) {
      return Optional.empty();
    }
    return type(node.path("type"))
        .map(type -> new Entry(type, isNamed ? name.textValue() : null, details(node)));
  }

  private static Optional<Type> type(JsonNode node) {
    return switch (node.asText()) {
      case "unicast" -> Optional.of(Type.UNICAST);
      case "broadcast" -> Optional.of(Type.BROADCAST);
      default -> Optional.empty();
    };
  }

  private static List<Detail> details(JsonNode entry) {
    List<Detail> details = new ArrayList<>();
    for (JsonNode node : Json.elements(entry, "details")) {
      if (node.isObject()) {
        String type = node.path("type").asText();
        List<Mapping> mappings = type.equals(MAPPING) ? mappings(node) : List.of();
        details.add(new Detail(type, mappings, Json.text(node)));
      }
    }
    return List.copyOf(details);
  }

  private static List<Mapping> mappings(JsonNode detail) {
    List<Mapping> mappings = new ArrayList<>();
    for (JsonNode node : Json.elements(detail, "detail")) {
      JsonNode source = node.path("source");
      JsonNode target = node.path("target");
      if (source.isTextual() && target.isTextual()) {
        mappings.add(new Mapping(source.textValue(), target.textValue()));
      }
    }
    return List.copyOf(mappings);
  }
}
