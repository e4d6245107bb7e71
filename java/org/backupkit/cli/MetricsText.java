package org.backupkit.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.backupkit.BackupService;
import org.backupkit.FileData;
import org.backupkit.internal.Await;
import org.backupkit.internal.InnerRequests;

/** What a service counts, as OpenMetrics text. */
record MetricsText(String text, List<Sample> samples) {
  private static final Pattern SAMPLE = Pattern.compile("([^ {]+)(?:\\{(.*)})? ([^ ]+)");
  private static final Pattern LABEL = Pattern.compile("(\\w+)=\"((?:[^\"\\\\]|\\\\.)*)\",?");
  private static final Pattern ESCAPE = Pattern.compile("\\\\(.)");

  /** One number. */
  record Sample(String name, Map<String, String> labels, double value) {
    String label(String name) {
      return labels.getOrDefault(name, "");
    }
  }

  static MetricsText ask(BackupService service) throws IOException {
    try (FileData data = Await.value(InnerRequests.metrics(service))) {
      return read(new String(data.fd().readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  static MetricsText read(String text) {
    List<Sample> samples = new ArrayList<>();
    for (String line : text.split("\n")) {
      Matcher found = SAMPLE.matcher(line);
      if (!line.startsWith("#") && found.matches()) {
        String labels = found.group(2) == null ? "" : found.group(2);
        samples.add(new Sample(found.group(1), labels(labels), number(found.group(3))));
      }
    }
    return new MetricsText(text, samples);
  }

  /** Those of one name. */
  List<Sample> all(String name) {
    return samples.stream().filter(sample -> sample.name().equals(name)).toList();
  }

  /** The sum of those of one name that have all these labels: {@code name, value, ...}. */
  double sum(String name, String... labels) {
    double sum = 0;
    for (Sample sample : all(name)) {
      boolean matches = true;
      for (int i = 0; i < labels.length; i += 2) {
        matches &= sample.label(labels[i]).equals(labels[i + 1]);
      }
      sum += matches ? sample.value() : 0;
    }
    return sum;
  }

  private static Map<String, String> labels(String text) {
    Map<String, String> labels = new LinkedHashMap<>();
    Matcher found = LABEL.matcher(text);
    while (found.find()) {
      labels.put(found.group(1), plain(found.group(2)));
    }
    return labels;
  }

  private static String plain(String escaped) {
    return ESCAPE
        .matcher(escaped)
        .replaceAll(
            found -> Matcher.quoteReplacement(found.group(1).equals("n") ? "\n" : found.group(1)));
  }

  private static double number(String text) {
    return text.endsWith("Inf")
        ? (text.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY)
        : Double.parseDouble(text);
  }
}
