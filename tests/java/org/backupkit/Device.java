package org.backupkit;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Random;

/** A device root in a test's directory. */
public final class Device {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path root;

  /** Makes one. */
  public Device(Path root) throws IOException {
    this.root = Files.createDirectories(root);
    Files.createDirectories(root.resolve("etc/backupkit/bundles"));
  }

  /** Its directory. */
  public Path root() {
    return root;
  }

  /** Adds a bundle of which everything is backed up; gives its sandbox, which is empty. */
  public Path addBundle(String name) throws IOException {
    return addBundle(name, "");
  }

  /** The same with more members of the bundle's file: {@code ", "key": value"}, or "". */
  public Path addBundle(String name, String more) throws IOException {
    Files.writeString(
        bundleFile(name),
        """
        {"name": "%s", "versionCode": 1, "versionName": "1.0", "sandbox": "data/%s",
         "backup": {"allowToBackupRestore": true, "includes": ["*"]}%s}
        """
            .formatted(name, name, more));
    return Files.createDirectories(sandbox(name));
  }

  /** A bundle's file. */
  public Path bundleFile(String name) {
    return root.resolve("etc/backupkit/bundles").resolve(name + ".json");
  }

  /** A bundle's directory. */
  public Path sandbox(String name) {
    return root.resolve("data").resolve(name);
  }

  /** Gives a bundle that was added a hook program. */
  public void setHook(String name, List<String> command) throws IOException {
    Path file = bundleFile(name);
    ObjectNode bundle = (ObjectNode) JSON.readTree(file.toFile());
    command.forEach(bundle.putObject("extension").putArray("command")::add);
    JSON.writeValue(file.toFile(), bundle);
  }

  /** Lets the hook program of a bundle come to {@code path} too: {@code "reads", "writes"}. */
  public void letHook(String name, String how, Path path) throws IOException {
    Path file = bundleFile(name);
    ObjectNode bundle = (ObjectNode) JSON.readTree(file.toFile());
    ((ObjectNode) bundle.get("extension")).withArray(how).add(path.toString());
    JSON.writeValue(file.toFile(), bundle);
  }

  /** Sets a member of the rules of a bundle that was added. */
  public void setRule(String name, String key, Object value) throws IOException {
    Path file = bundleFile(name);
    ObjectNode bundle = (ObjectNode) JSON.readTree(file.toFile());
    ((ObjectNode) bundle.get("backup")).putPOJO(key, value);
    JSON.writeValue(file.toFile(), bundle);
  }

  /** Writes the service's settings. */
  public void configure(String json) throws IOException {
    Files.writeString(root.resolve("etc/backupkit/service.json"), json);
  }

  /** Bytes that no compression or coincidence reproduces; the same for each call. */
  public static byte[] bytes(int size) {
    byte[] bytes = new byte[size];
    new Random(1).nextBytes(bytes);
    return bytes;
  }

  /** Whether this runs as root. */
  public static boolean isRoot() throws IOException {
    return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
  }

  /** Lets every user look into a directory. */
  public static void openToAll(Path directory) throws IOException {
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  /** Empties a directory. */
  public static void empty(Path directory) throws IOException {
    try (var entries = Files.list(directory)) {
      for (Path entry : entries.toList()) {
        if (Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)) {
          empty(entry);
        }
        Files.delete(entry);
      }
    }
  }
}
