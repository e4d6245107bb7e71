/** The command {@code backupkit}. */
@NullMarked
package org.backupkit.cli;

import org.jspecify.annotations.NullMarked;
