package org.backupkit.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.backupkit.Device;
import org.backupkit.Tool;

/**
 * The command, from its launcher to a service that has answered, beside a JVM that does nothing.
 */
record StartDuel(Path root) implements Duel {
  static Duel of(Path directory) throws IOException {
    Path root = directory.resolve("device");
    new Device(root).addBundle("com.example.bench");
    return new StartDuel(root);
  }

  @Override
  public void ours(Path fresh) throws Exception {
    Tool.succeed("./backupkit", "capabilities", "--root", root.toString());
  }

  @Override
  public List<Way> peers() {
    String java = System.getProperty("java.home") + "/bin/java";
    String[] bare = {
      java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-version"
    };
    return List.of(fresh -> Tool.succeed(bare));
  }
}
