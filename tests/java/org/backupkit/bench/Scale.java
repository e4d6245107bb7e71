package org.backupkit.bench;

/**
 * How much is measured.
 *
 * @param files how many the small files are
 * @param isMillion whether growth is measured up to ten times as many
 */
record Scale(int files, boolean isMillion) {}
