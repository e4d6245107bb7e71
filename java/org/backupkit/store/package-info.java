/** A ready-made place to keep backups: a directory of snapshots that are whole or not there. */
@NullMarked
package org.backupkit.store;

import org.jspecify.annotations.NullMarked;
