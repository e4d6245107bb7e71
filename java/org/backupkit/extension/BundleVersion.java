package org.backupkit.extension;

/**
 * The version of the app that made the data. Immutable.
 *
 * @param code the number that grows from version to version
 * @param name the version as people read it
 */
public record BundleVersion(long code, String name) {}
