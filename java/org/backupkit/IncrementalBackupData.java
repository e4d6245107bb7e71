package org.backupkit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** One bundle of an incremental backup, with what is known of its last one. Immutable. */
public final class IncrementalBackupData {
  private final String bundleName;
  private final long lastIncrementalTime;
  private final @Nullable Fd manifestFd;
  private final String parameters;
  private final int priority;

  private IncrementalBackupData(Builder builder) {
    this.bundleName = builder.bundleName;
    this.lastIncrementalTime = builder.lastIncrementalTime;
    this.manifestFd = builder.manifestFd;
    this.parameters = builder.parameters;
    this.priority = builder.priority;
  }

  /**
   * Begins the description of a bundle.
   *
   * @param bundleName the bundle
   * @return a builder with the defaults: never backed up, no manifest, no parameters, priority 0
   */
  public static Builder builder(String bundleName) {
    return new Builder(bundleName);
  }

  /**
   * The bundle.
   *
   * @return its name
   */
  public String bundleName() {
    return bundleName;
  }

  /**
   * When the bundle was last backed up.
   *
   * @return seconds since the epoch; 0 = never
   */
  public long lastIncrementalTime() {
    return lastIncrementalTime;
  }

  /**
   * The complete manifest of the last backup.
   *
   * @return the descriptor, owned by the caller, or null
   */
  public @Nullable Fd manifestFd() {
    return manifestFd;
  }

  /**
   * Parameters of the backup.
   *
   * @return JSON, or "" for none
   */
  public String parameters() {
    return parameters;
  }

  /**
   * The bundle's place in the order of starts.
   *
   * @return larger goes first
   */
  public int priority() {
    return priority;
  }

  /** Collects the description of one bundle. Not thread-safe. */
  public static final class Builder {
    private final String bundleName;
    private long lastIncrementalTime;
    private @Nullable Fd manifestFd;
    private String parameters = "";
    private int priority;

    private Builder(String bundleName) {
      this.bundleName = Objects.requireNonNull(bundleName, "bundleName");
    }

    /**
     * Says when the bundle was last backed up.
     *
     * @param secondsSinceEpoch 0 = never, the default
     * @return this
     */
    public Builder lastIncrementalTime(long secondsSinceEpoch) {
      this.lastIncrementalTime = secondsSinceEpoch;
      return this;
    }

    /**
     * Gives the complete manifest of the last backup.
     *
     * @param manifest duplicated before {@code appendBundles} returns; the caller keeps it
     * @return this
     */
    public Builder manifestFd(Fd manifest) {
      this.manifestFd = Objects.requireNonNull(manifest, "manifest");
      return this;
    }

    /**
     * Gives parameters of the backup.
     *
     * @param json a JSON object, or "" for none, the default
     * @return this
     */
    public Builder parameters(String json) {
      this.parameters = Objects.requireNonNull(json, "json");
      return this;
    }

    /**
     * Sets the bundle's place in the order of starts.
     *
     * @param priority larger goes first, equal = call order; default 0
     * @return this
     */
    public Builder priority(int priority) {
      this.priority = priority;
      return this;
    }

    /**
     * Ends the description.
     *
     * @return the bundle as described so far
     */
    public IncrementalBackupData build() {
      return new IncrementalBackupData(this);
    }
  }
}
