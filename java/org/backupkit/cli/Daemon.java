package org.backupkit.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.backupkit.internal.NativeLibrary;

/** The service's own program, in the foreground of a command. */
final class Daemon {
  private Daemon() {}

  /** Runs it until it ends, and with the command; the command's exit code. */
  static int run(List<String> arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(NativeLibrary.backupd().toString()));
    command.addAll(arguments);
    Process service = new ProcessBuilder(command).inheritIO().start();
    Runtime.getRuntime().addShutdownHook(new Thread(service::destroy));
    return service.waitFor() == 0 ? 0 : Main.FAILED;
  }
}
