package org.backupkit;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;

/**
 * Both halves of a descriptor as one channel; whichever half the descriptor does not allow fails as
 * the kernel says.
 */
final class FdChannel implements SeekableByteChannel {
  private final FileInputStream in;
  private final FileOutputStream out;
  private final FileChannel reads;
  private final FileChannel writes;

  /** Owns what {@code descriptor} is bound to. */
  FdChannel(FileDescriptor descriptor) {
    // Streams of one FileDescriptor know each other: the first close closes all.
    this.in = new FileInputStream(descriptor);
    this.out = new FileOutputStream(descriptor);
    this.reads = in.getChannel();
    this.writes = out.getChannel();
  }

  @Override
  public int read(ByteBuffer target) throws IOException {
    return reads.read(target);
  }

  @Override
  public int write(ByteBuffer source) throws IOException {
    return writes.write(source);
  }

  @Override
  public long position() throws IOException {
    return reads.position();
  }

  @Override
  public SeekableByteChannel position(long position) throws IOException {
    reads.position(position);
    return this;
  }

  @Override
  public long size() throws IOException {
    return reads.size();
  }

  @Override
  public SeekableByteChannel truncate(long size) throws IOException {
    writes.truncate(size);
    return this;
  }

  @Override
  public boolean isOpen() {
    return reads.isOpen();
  }

  @Override
  public void close() throws IOException {
    try (out) {
      in.close();
    }
  }
}
