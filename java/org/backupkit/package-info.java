/**
 * Backup and restore of the data of the apps on a device: connect to a service, open a session, get
 * open files.
 */
@NullMarked
package org.backupkit;

import org.jspecify.annotations.NullMarked;
