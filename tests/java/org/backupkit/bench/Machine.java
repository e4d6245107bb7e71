package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.backupkit.Tool;

/** What the figures depend on beside the code. */
final class Machine {
  private static final Path PROC = Path.of("/proc");

  private Machine() {}

  /** Says it, and which code it is, of measurements in a directory. */
  static Map<String, String> facts(Path directory) throws IOException, InterruptedException {
    Map<String, String> facts = new LinkedHashMap<>();
    int count = Runtime.getRuntime().availableProcessors();
    facts.put("processors", count + " x " + value("cpuinfo", "model name"));
    facts.put("memory", value("meminfo", "MemTotal"));
    facts.put("kernel", Files.readString(PROC.resolve("sys/kernel/osrelease")).strip());
    facts.put("fileSystem", Files.getFileStore(directory).type());
    facts.put("jvm", System.getProperty("java.vm.name") + " " + Runtime.version());
    facts.put("commit", commit());
    facts.put("load", Files.readString(PROC.resolve("loadavg")).split(" ")[0]);
    return facts;
  }

  /** Of "name : value" in a file below /proc, the first value. */
  static String value(String file, String name) throws IOException {
    try (Stream<String> lines = Files.lines(PROC.resolve(file))) {
      return lines
          .filter(line -> line.startsWith(name))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse("unknown");
    }
  }

  /** The most memory that a process has had. */
  static double peakMib(long pid) throws IOException {
    String kib = value(pid + "/status", "VmHWM").replaceAll("\\D", "");
    return Long.parseLong(kib) / 1024.0;
  }

  private static String commit() throws IOException, InterruptedException {
    Tool.Outcome head = Tool.run(List.of("git", "rev-parse", "--short", "HEAD"));
    Tool.Outcome changes = Tool.run(List.of("git", "status", "--porcelain"));
    if (head.status() != 0) {
      return "unknown";
    }
    return head.output().strip() + (changes.output().isEmpty() ? "" : " and changes");
  }
}
