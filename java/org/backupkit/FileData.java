package org.backupkit;

/** A file that the service made for its caller. Thread-safe. */
public final class FileData implements AutoCloseable {
  private final Fd fd;

  FileData(Fd fd) {
    this.fd = fd;
  }

  /**
   * The file; owned by this object.
   *
   * @return the file, readable from offset 0
   */
  public Fd fd() {
    return fd;
  }

  /** Closes the file. A second call does nothing. */
  @Override
  public void close() {
    fd.close();
  }
}
