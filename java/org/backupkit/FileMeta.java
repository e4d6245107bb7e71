package org.backupkit;

/**
 * Names one file of a bundle's backup.
 *
 * @param bundleName the bundle
 * @param uri the file's name, {@code [0-9A-Za-z_.]*}, at most 255 long
 */
public record FileMeta(String bundleName, String uri) {}
