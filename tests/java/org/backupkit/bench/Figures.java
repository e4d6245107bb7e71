package org.backupkit.bench;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.backupkit.bench.Measurement.Sample;

/** What the rounds of one case came to in one of its rows, ours and the peer's. */
record Figures(BenchCase what, Row row, List<Double> ours, List<Double> peers) {
  private static final String LINE = "%-16s %-28s %-28s %5s  %-14s %s";
  private static final int DIGITS = 3;
  static final String HEADER =
      String.format(LINE, "case", "ours (min to max)", "peer (min to max)", "ratio", "target", "");

  /** Those of a row, before any round. */
  static Figures of(BenchCase what, Row row) {
    return new Figures(what, row, new ArrayList<>(), new ArrayList<>());
  }

  /** Adds what a round came to. */
  void add(Sample sample) {
    if (sample.ours() != null) {
      ours.add(sample.ours());
    }
    if (sample.peer() != null) {
      peers.add(sample.peer());
    }
  }

  /** Of an even number of values, what is in the middle of the two middle ones; of none, NaN. */
  static double median(List<Double> values) {
    if (values.isEmpty()) {
      return Double.NaN;
    }
    List<Double> sorted = values.stream().sorted().toList();
    int half = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(half)
        : (sorted.get(half - 1) + sorted.get(half)) / 2;
  }

  /** With as many digits as tell something, and no more than that. */
  static String number(double value) {
    BigDecimal rounded = new BigDecimal(value).round(new MathContext(DIGITS));
    return rounded
        .setScale(Math.min(DIGITS, rounded.scale()), RoundingMode.HALF_UP)
        .stripTrailingZeros()
        .toPlainString();
  }

  /** Our median by the peer's. */
  double ratio() {
    return median(ours) / median(peers);
  }

  /** Whether the target is reached. */
  boolean isReached() {
    return row.isReached(median(ours), ratio());
  }

  /** A line below the header. */
  String line() {
    return String.format(
            LINE,
            what,
            text(ours),
            text(peers),
            peers.isEmpty() ? "" : String.format(Locale.ROOT, "%.2f", ratio()),
            row.target(),
            row.name() + remark())
        .stripTrailing();
  }

  private String remark() {
    if (!isMeasured()) {
      return " (" + row.missing() + ")";
    }
    return isReached() ? "" : " (missed)";
  }

  private boolean isMeasured() {
    return !ours.isEmpty() && !(row.isBeside() && peers.isEmpty());
  }

  /** All of it. */
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("case", what.toString()).put("row", row.name()).put("unit", row.unit());
    put(json, "ours", ours);
    put(json, "peer", peers);
    if (!peers.isEmpty()) {
      json.put("ratio", ratio());
    }
    if (!isMeasured()) {
      json.put("missing", row.missing());
    } else if (row.bound() != Row.Bound.NONE) {
      json.put("target", row.target()).put("reached", isReached());
    }
    return json;
  }

  private String text(List<Double> values) {
    if (values.isEmpty()) {
      return "";
    }
    String median = number(median(values)) + " " + row.unit();
    return values.size() == 1
        ? median
        : String.format(
            "%s (%s to %s)",
            median, number(Collections.min(values)), number(Collections.max(values)));
  }

  private static void put(ObjectNode json, String name, List<Double> values) {
    if (values.isEmpty()) {
      return;
    }
    ObjectNode series = json.putObject(name).put("median", median(values));
    series.put("min", Collections.min(values)).put("max", Collections.max(values));
    values.forEach(series.putArray("runs")::add);
  }
}
