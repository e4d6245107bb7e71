package org.backupkit.bench;

import java.util.Locale;

/**
 * What one line of a case says: what we are compared with or, where it is nothing, what is
 * measured; and what is to be reached.
 */
record Row(String name, boolean isBeside, String unit, Bound bound, double limit, String missing) {
  /** What is to be reached. */
  enum Bound {
    NONE,
    /** Our median by the peer's is to be so much at most. */
    RATIO,
    /** Our median is to be so much at most. */
    MOST,
    /** Our median is to be so much at least. */
    LEAST
  }

  /** Beside a program that does the same, in seconds. */
  static Row beside(String peer) {
    return new Row(peer, true, "s", Bound.NONE, 0, "not installed");
  }

  /** What is measured by itself. */
  static Row of(String name, String unit) {
    return new Row(name, false, unit, Bound.NONE, 0, "not here");
  }

  Row ratio(double most) {
    return new Row(name, isBeside, unit, Bound.RATIO, most, missing);
  }

  Row most(double most) {
    return new Row(name, isBeside, unit, Bound.MOST, most, missing);
  }

  Row least(double least) {
    return new Row(name, isBeside, unit, Bound.LEAST, least, missing);
  }

  /** The same in another unit. */
  Row in(String other) {
    return new Row(name, isBeside, other, bound, limit, missing);
  }

  /** The same with another reason for having no values. */
  Row unless(String reason) {
    return new Row(name, isBeside, unit, bound, limit, reason);
  }

  /** Whether that is enough. */
  boolean isReached(double ours, double ratio) {
    return switch (bound) {
      case NONE -> true;
      case RATIO -> ratio <= limit;
      case MOST -> ours <= limit;
      case LEAST -> ours >= limit;
    };
  }

  /** What is to be reached, in short. */
  String target() {
    return switch (bound) {
      case NONE -> "";
      case RATIO -> String.format(Locale.ROOT, "<= %.2f", limit);
      case MOST -> "<= " + Figures.number(limit) + " " + unit;
      case LEAST -> ">= " + Figures.number(limit) + " " + unit;
    };
  }
}
