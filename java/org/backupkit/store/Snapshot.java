package org.backupkit.store;

import java.nio.file.Path;
import java.time.Instant;

/**
 * One bundle's backup in a store.
 *
 * @param bundle the bundle
 * @param id its name, which is the time of its beginning; later ones are larger as text
 * @param time the time of its beginning
 * @param kind {@code full}
 * @param partial whether something could not be read and is not in it
 * @param files the number of its files
 * @param bytes the bytes of these files
 * @param directory where it is
 */
public record Snapshot(
    String bundle,
    String id,
    Instant time,
    String kind,
    boolean partial,
    long files,
    long bytes,
    Path directory) {}
