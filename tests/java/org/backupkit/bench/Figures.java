package org.backupkit.bench;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.backupkit.bench.BenchCase.Peer;

/** The seconds that the runs of one case took, ours and one peer's. */
record Figures(BenchCase what, Peer peer, List<Double> ours, List<Double> peers) {
  static final String HEADER =
      String.format(
          Locale.ROOT,
          "%-15s %-24s %-24s %7s %8s  %s",
          "case",
          "ours (min to max), s",
          "peer (min to max), s",
          "ratio",
          "target",
          "peer");

  /** Of an even number of values, what is in the middle of the two middle ones. */
  static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int half = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(half)
        : (sorted.get(half - 1) + sorted.get(half)) / 2;
  }

  /** Our median by the peer's. */
  double ratio() {
    return median(ours) / median(peers);
  }

  /** Whether the target is reached. */
  boolean isReached() {
    return (peer.target().isRatio() ? ratio() : median(ours)) <= peer.target().most();
  }

  /** A line below the header. */
  String line() {
    return String.format(
        Locale.ROOT,
        "%-15s %-24s %-24s %7.2f %6.2f %s  %s%s",
        what,
        text(ours),
        text(peers),
        ratio(),
        peer.target().most(),
        peer.target().isRatio() ? " " : "s",
        peer.name(),
        isReached() ? "" : " (missed)");
  }

  /** All of it. */
  ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("case", what.toString()).put("peer", peer.name());
    put(json.putObject("oursSeconds"), ours);
    put(json.putObject("peerSeconds"), peers);
    json.put("ratio", ratio());
    json.put(peer.target().isRatio() ? "targetRatio" : "targetSeconds", peer.target().most());
    return json.put("reached", isReached());
  }

  private static String text(List<Double> values) {
    return String.format(
        Locale.ROOT,
        "%.3f (%.3f to %.3f)",
        median(values),
        Collections.min(values),
        Collections.max(values));
  }

  private static void put(ObjectNode json, List<Double> values) {
    json.put("median", median(values));
    json.put("min", Collections.min(values)).put("max", Collections.max(values));
    values.forEach(json.putArray("runs")::add);
  }
}
