package org.backupkit;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** An app's hook program in shell, which notes each request that it gets. */
public final class ShellHook {
  private final Path log;

  private ShellHook(Path log) {
    this.log = log;
  }

  /**
   * Adds one to a bundle of a device. {@code calls} are the calls that it knows and what it does,
   * in shell with {@code $id} and {@code $line}, and {@code answer} to print the members of an
   * answer.
   */
  public static ShellHook add(Device device, String bundle, Map<String, String> calls)
      throws IOException {
    return add(device, bundle, "", calls);
  }

  /** The same with shell that runs before the greeting. */
  public static ShellHook add(Device device, String bundle, String first, Map<String, String> calls)
      throws IOException {
    Path folder = Files.createDirectories(device.root().resolve("hooks"));
    ShellHook hook = new ShellHook(Files.createFile(folder.resolve(bundle + ".log")));
    Files.writeString(folder.resolve(bundle), script(hook.log, first, calls));
    allowAll(folder.resolve(bundle), "rwxr-xr-x");
    allowAll(hook.log, "rw-rw-rw-");
    device.setHook(bundle, List.of("hooks/" + bundle));
    device.letHook(bundle, "writes", Path.of("hooks", bundle + ".log"));
    return hook;
  }

  /** Answers with a text that needs no escape. */
  public static String result(String text) {
    return "answer '\"result\":\"" + text + "\"'";
  }

  /** The requests so far. */
  public List<String> requests() throws IOException {
    return Files.readAllLines(log).stream().filter(line -> !line.isEmpty()).toList();
  }

  /** The calls in them. */
  public List<String> calls() throws IOException {
    return requests().stream()
        .map(line -> line.replaceFirst(".*?\"call\":\"([^\"]*)\".*", "$1"))
        .toList();
  }

  private static void allowAll(Path file, String mode) throws IOException {
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
  }

  private static String script(Path log, String first, Map<String, String> calls) {
    String names =
        calls.keySet().stream().map(name -> '"' + name + '"').collect(Collectors.joining(","));
    String cases =
        calls.entrySet().stream()
            .map(call -> call.getKey() + ")\n" + call.getValue() + "\n;;\n")
            .collect(Collectors.joining());
    return """
        #!/bin/sh
        answer() {
          printf '{"id":%%s,%%s}\\n' "$id" "$1"
        }
        %s
        echo '{"hook":1,"calls":[%s]}'
        while IFS= read -r line; do
          printf '%%s\\n' "$line" >>'%s'
          id=${line#'{"id":'}
          id=${id%%%%,*}
          call=${line#*'"call":"'}
          case "${call%%%%\\"*}" in
        %s
          esac
        done
        """
        .formatted(first, names, log, cases);
  }
}
