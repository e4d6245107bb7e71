/**
 * What the public packages share: the crossing into native code and what surrounds it. Not
 * exported.
 */
@NullMarked
package org.backupkit.internal;

import org.jspecify.annotations.NullMarked;
