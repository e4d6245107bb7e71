/**
 * What an app runs during its own backup or restore: subclass one class, hand it to {@code run}.
 */
@NullMarked
package org.backupkit.extension;

import org.jspecify.annotations.NullMarked;
