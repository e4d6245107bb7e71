package org.backupkit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** What a bad disk does to a file. */
public final class Damage {
  private Damage() {}

  /** Changes the byte in the middle; a second time makes it good again. */
  public static void flipAByte(Path file) throws IOException {
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      long middle = channel.size() / 2;
      ByteBuffer one = ByteBuffer.allocate(1);
      channel.read(one, middle);
      one.put(0, (byte) (one.get(0) ^ 0x80)).rewind();
      channel.write(one, middle);
    }
  }
}
