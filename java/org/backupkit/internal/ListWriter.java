package org.backupkit.internal;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.backupkit.IncrementalBackupTime;

/**
 * Encodes what is too long for a frame. Little-endian:
 *
 * <pre>
 * list  = u32 n, n times: text name, text source, text info, text options, i32 priority,
 *         i64 time of the last incremental backup, u8 has manifest
 * times = u32 n, n times: text name, i64 seconds
 * text  = u32 length, UTF-8 bytes
 * </pre>
 */
public final class ListWriter {
  /** So many manifests fit beside one list. */
  private static final int MAX_MANIFESTS = 250;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  private ListWriter() {}

  /**
   * One bundle to append.
   *
   * @param name its name
   * @param source its name in the capability file
   * @param info what is handed to the app
   * @param options our own keys, a JSON object
   * @param priority larger goes first
   * @param lastTime of the last incremental backup, in seconds since the epoch
   * @param manifest descriptor of the old manifest, or -1
   */
  public record Item(
      String name,
      String source,
      String info,
      String options,
      int priority,
      long lastTime,
      int manifest) {}

  /**
   * What goes in one message.
   *
   * @param list the encoded list
   * @param manifests its manifests' descriptors, an i32 each
   */
  public record Part(byte[] list, byte[] manifests) {}

  /**
   * Encodes a list of bundles.
   *
   * @param items the bundles
   * @return the parts, at least one
   */
  public static List<Part> bundles(List<Item> items) {
    List<Part> parts = new ArrayList<>();
    int from = 0;
    do {
      int to = from;
      for (int manifests = 0; to < items.size(); to++) {
        manifests += items.get(to).manifest() >= 0 ? 1 : 0;
        if (manifests > MAX_MANIFESTS) {
          break;
        }
      }
      parts.add(part(items.subList(from, to)));
      from = to;
    } while (from < items.size());
    return parts;
  }

  /**
   * Encodes a list of times.
   *
   * @param times the bundles and their times
   * @return the encoded list
   */
  public static byte[] times(List<IncrementalBackupTime> times) {
    ListWriter writer = new ListWriter();
    writer.number(Integer.BYTES, times.size());
    for (IncrementalBackupTime time : times) {
      writer.text(time.bundleName());
      writer.number(Long.BYTES, time.lastIncrementalTime());
    }
    return writer.out.toByteArray();
  }

  private static Part part(List<Item> items) {
    ListWriter list = new ListWriter();
    ListWriter manifests = new ListWriter();
    list.number(Integer.BYTES, items.size());
    for (Item item : items) {
      list.text(item.name());
      list.text(item.source());
      list.text(item.info());
      list.text(item.options());
      list.number(Integer.BYTES, item.priority());
      list.number(Long.BYTES, item.lastTime());
      list.number(Byte.BYTES, item.manifest() >= 0 ? 1 : 0);
      if (item.manifest() >= 0) {
        manifests.number(Integer.BYTES, item.manifest());
      }
    }
    return new Part(list.out.toByteArray(), manifests.out.toByteArray());
  }

  private void text(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    number(Integer.BYTES, bytes.length);
    out.writeBytes(bytes);
  }

  private void number(int size, long value) {
    byte[] whole =
        ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
    out.write(whole, 0, size);
  }
}
