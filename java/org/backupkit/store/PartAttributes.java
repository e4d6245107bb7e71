package org.backupkit.store;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The extended attributes in the records of a header, and the ACLs among them once more as text
 * (native/archive/pax.h). Texts have a character for each byte.
 */
final class PartAttributes {
  private static final String KEY = "SCHILY.xattr.";
  private static final Map<String, String> ACLS =
      Map.of(
          "SCHILY.acl.access", "system.posix_acl_access",
          "SCHILY.acl.default", "system.posix_acl_default");
  private static final int ACL_HEAD = Integer.BYTES;
  private static final int ACL_ENTRY = 2 * Integer.BYTES;
  private static final Map<Integer, String> TAGS =
      Map.of(1, "user", 2, "user", 4, "group", 8, "group", 16, "mask", 32, "other");
  private static final Set<Integer> TAGS_WITH_ID = Set.of(2, 8);

  private final Map<String, String> records;
  private final TreeMap<String, String> values = new TreeMap<>();

  /** Takes them out of the records. */
  PartAttributes(Map<String, String> records) throws IOException {
    this.records = records;
    for (Map.Entry<String, String> record : records.entrySet()) {
      if (record.getKey().startsWith(KEY)) {
        String name = record.getKey().substring(KEY.length());
        values.put(Manifest.decoded(name), record.getValue());
      }
    }
  }

  /** Whether a record is one of theirs. */
  static boolean isKey(String key) {
    return key.startsWith(KEY) || ACLS.containsKey(key);
  }

  boolean isEmpty() {
    return values.isEmpty();
  }

  /** As a manifest has it (native/io/xattr.h). */
  String digest() {
    if (values.isEmpty()) {
      return "";
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (Map.Entry<String, String> one : values.entrySet()) {
      String value = one.getValue();
      String text = one.getKey() + '\0' + value.length() + '\0' + value;
      bytes.writeBytes(text.getBytes(StandardCharsets.ISO_8859_1));
    }
    return Hashes.of(bytes.toByteArray());
  }

  /** Whether the ACLs' texts say what the ACLs are. */
  boolean haveTheirTexts() {
    return ACLS.entrySet().stream()
        .allMatch(
            acl -> Objects.equals(records.get(acl.getKey()), text(values.get(acl.getValue()))));
  }

  /** The text of an ACL (native/archive/acl.h); null for what is none. */
  private static @Nullable String text(@Nullable String acl) {
    if (acl == null || acl.length() <= ACL_HEAD || (acl.length() - ACL_HEAD) % ACL_ENTRY != 0) {
      return null;
    }
    ByteBuffer bytes = ByteBuffer.wrap(acl.getBytes(StandardCharsets.ISO_8859_1));
    bytes.order(ByteOrder.LITTLE_ENDIAN);
    if (bytes.getInt() != 2) {
      return null;
    }
    List<String> entries = new ArrayList<>();
    while (bytes.hasRemaining()) {
      int tag = bytes.getShort();
      int permissions = bytes.getShort();
      String id = Integer.toUnsignedString(bytes.getInt());
      if (!TAGS.containsKey(tag) || permissions < 0 || permissions > 7) {
        return null;
      }
      entries.add(
          TAGS.get(tag)
              + (TAGS_WITH_ID.contains(tag) ? ":" + id + ":" : "::")
              + ((permissions & 4) != 0 ? "r" : "-")
              + ((permissions & 2) != 0 ? "w" : "-")
              + ((permissions & 1) != 0 ? "x" : "-"));
    }
    return String.join(",", entries);
  }
}
