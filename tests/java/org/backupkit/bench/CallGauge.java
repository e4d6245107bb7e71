package org.backupkit.bench;

import java.util.Collection;
import java.util.List;
import org.backupkit.internal.BridgeBench;
import org.backupkit.internal.EventBench;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** What calls cost in a JVM of their own, in nanoseconds, as JMH measures it. */
final class CallGauge {
  private CallGauge() {}

  /** A call of ours beside one that does nothing, and by how much it is longer. */
  static List<Measurement.Sample> bridge(Scale scale) throws RunnerException {
    double nothing = nanoseconds(BridgeBench.class, "nothing", scale);
    double ours = nanoseconds(BridgeBench.class, "throughHandle", scale);
    return List.of(new Measurement.Sample(ours, nothing), Measurement.Sample.of(ours - nothing));
  }

  /** A file's event. */
  static List<Measurement.Sample> event(Scale scale) throws RunnerException {
    return List.of(Measurement.Sample.of(nanoseconds(EventBench.class, "file", scale) / 1e3));
  }

  private static double nanoseconds(Class<?> bench, String method, Scale scale)
      throws RunnerException {
    TimeValue each = TimeValue.milliseconds(Math.max(10, Math.min(1000, scale.files() / 100)));
    System.setProperty("jmh.ignoreLock", "true"); // a file that it would leave
    OptionsBuilder options = new OptionsBuilder();
    options.include(bench.getName() + "." + method).forks(1).jvmArgs("-Xmx256m");
    options.warmupIterations(3).warmupTime(each).measurementIterations(3).measurementTime(each);
    options.verbosity(VerboseMode.SILENT).shouldFailOnError(true);
    Collection<RunResult> results = new Runner(options.build()).run();
    return results.iterator().next().getPrimaryResult().getScore();
  }
}
