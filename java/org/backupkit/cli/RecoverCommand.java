package org.backupkit.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** Ends what a crash or a power cut has interrupted. */
@Command(
    name = "recover",
    description = {
      "Completes or undoes the restores that were interrupted, before the apps start.",
      "A running service does so by itself; this is for when there is none."
    },
    mixinStandardHelpOptions = true)
final class RecoverCommand implements Callable<Integer> {
  @Mixin private DeviceRoot root = new DeviceRoot();

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path device = root.directory().toRealPath();
    return Daemon.run(List.of("--recover", "--root", device.toString()));
  }
}
