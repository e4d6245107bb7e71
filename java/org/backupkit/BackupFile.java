package org.backupkit;

import org.jspecify.annotations.Nullable;

/**
 * One file of a bundle's backup, handed to {@link GeneralCallbacks#onFileReady}. Owns its
 * descriptors. Thread-safe.
 */
public final class BackupFile implements AutoCloseable {
  private final String bundleName;
  private final String uri;
  private final Fd fd;
  private final @Nullable Fd manifestFd;

  BackupFile(String bundleName, String uri, Fd fd, @Nullable Fd manifestFd) {
    this.bundleName = bundleName;
    this.uri = uri;
    this.fd = fd;
    this.manifestFd = manifestFd;
  }

  /**
   * The bundle that the file belongs to.
   *
   * @return its name
   */
  public String bundleName() {
    return bundleName;
  }

  /**
   * The file's name within the bundle's backup.
   *
   * @return {@code [0-9A-Za-z_.]{1,255}}
   */
  public String uri() {
    return uri;
  }

  /**
   * The file: readable in a backup, writable in a restore.
   *
   * @return the descriptor, owned by this object
   */
  public Fd fd() {
    return fd;
  }

  /**
   * The manifest that belongs to the file; there in an incremental backup and in every restore.
   *
   * @return the descriptor, owned by this object, or null
   */
  public @Nullable Fd manifestFd() {
    return manifestFd;
  }

  /** Closes both descriptors. A second call does nothing. */
  @Override
  public void close() {
    if (manifestFd != null) {
      manifestFd.close();
    }
    fd.close();
  }
}
