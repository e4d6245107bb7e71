package org.backupkit.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Tool;
import org.backupkit.store.BackupReport;
import org.backupkit.store.Progress;
import org.backupkit.store.RestoreReport;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Judges backups by programs that are not ours: rsync, GNU tar and libarchive's bsdtar. */
@Timeout(120)
class InteropTest {
  private static final String BUNDLE = "com.example.real";
  private static final int BIG = 5_000_000;

  @TempDir static Path directory;
  private static Device device;
  private static Path sandbox;
  private static Path original;
  private static SnapshotStore store;

  @BeforeAll
  static void makeATree() throws Exception {
    Tool.need("cp", "rsync", "sh");
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    Path tree = Files.createDirectory(sandbox.resolve("tree"));
    // The names are made by a shell because Java's may be limited to ASCII by the locale.
    Tool.succeed(
        "sh",
        "-euc",
        """
        cd "$1"
        for part in linux asm-generic; do
          if [ -d /usr/include/$part ]; then cp -a /usr/include/$part .; fi
        done
        mkdir -p many empty/in/empty locked
        i=0
        while [ $i -lt 300 ]; do echo "entry $i" > many/$i.txt; i=$((i + 1)); done
        head -c "$2" /dev/urandom > big.bin
        ln big.bin many/big-again.bin
        ln many/7.txt many/seven.txt
        ln -s many/7.txt link
        ln -s /nowhere/at/all dangling
        ln -s "$(printf '%0200d' 0)" long-link
        mkfifo fifo
        echo newline > "$(printf 'new\\nline')"
        echo umlaut > "$(printf 'gr\\303\\274n')"
        echo dash > ./-rf
        echo blank > ' a  b '
        echo long > "$(printf '%0255d' 0)"
        mkdir -p deep/"$(printf '%0250d' 1)"/"$(printf '%0250d' 2)"
        echo deep > deep/"$(printf '%0250d' 1)"/"$(printf '%0250d' 2)"/leaf
        chmod 0500 locked
        chmod 4711 many/1.txt
        touch -d '2001-02-03 04:05:06.123456789 UTC' many/2.txt big.bin empty/in
        touch -h -d '1999-01-01 00:00:00.000000001 UTC' link
        touch -d '1960-01-01 00:00:00.5 UTC' many/3.txt
        """,
        "sh",
        tree.toString(),
        String.valueOf(BIG));
    original = directory.resolve("original");
    Tool.succeed("cp", "-a", sandbox.toString(), original.toString());
    assertEquals("", Judges.differences("-aHn", original, sandbox));
    store = SnapshotStore.open(directory.resolve("store"));
    backUp();
  }

  @Test
  void rsyncFindsNoDifferenceAfterARestore() throws Exception {
    Device.empty(sandbox);
    try (BackupService service = BackupService.embedded(device.root())) {
      RestoreReport report = store.restore(service, List.of(BUNDLE), Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
    }
    assertEquals("", Judges.differences("-aHn", original, sandbox));
  }

  @Test
  void tarListsEveryPart() throws Exception {
    Tool.need("tar");
    for (Path part : parts()) {
      assertFalse(Tool.succeed("tar", "tf", part.toString()).isEmpty());
    }
  }

  @Test
  void bsdtarListsEveryPart() throws Exception {
    Tool.need("bsdtar");
    for (Path part : parts()) {
      assertFalse(Tool.succeed("bsdtar", "tf", part.toString()).isEmpty());
    }
  }

  @Test
  void tarAndManageJsonGiveTheTreeByHand() throws Exception {
    Tool.need("tar");
    assertEquals("", Judges.differences("-aHOn", original, unpackByHand("tar")));
  }

  @Test
  void bsdtarAndManageJsonGiveTheTreeByHand() throws Exception {
    Tool.need("bsdtar");
    Path tree = unpackByHand("bsdtar");
    // libarchive 3.6.2 adds the fraction of a time before 1970 instead of subtracting it, also for
    // archives of GNU tar.
    String old = "tree/many/3.txt";
    Tool.succeed("touch", "-r", original.resolve(old).toString(), tree.resolve(old).toString());
    assertEquals("", Judges.differences("-aHOn", original, tree));
  }

  /**
   * The tree made of the parts and big files. Placing a big file changes the time of its directory,
   * so directories' times are not to be judged.
   */
  private static Path unpackByHand(String tar) throws Exception {
    Path target = Files.createDirectory(directory.resolve("by-" + tar));
    for (Path part : parts()) {
      Tool.succeed(tar, "xpf", part.toString(), "-C", target.toString());
    }
    int big = 0;
    for (JsonNode item : new ObjectMapper().readTree(snapshot().resolve("manage.json").toFile())) {
      if (item.path("isBigFile").asBoolean()) {
        place(item, target);
        ++big;
      }
    }
    assertEquals(1, big);
    return target;
  }

  private static void place(JsonNode item, Path target) throws Exception {
    JsonNode information = item.path("information");
    JsonNode stat = information.path("stat");
    String path = target + "/" + decoded(item, information.path("path").asText());
    Tool.succeed("cp", snapshot().resolve(item.path("fileName").asText()).toString(), path);
    Tool.succeed("chown", item.path("uid").asText() + ":" + item.path("gid").asText(), path);
    Tool.succeed("chmod", Integer.toOctalString(stat.path("st_mode").asInt() & 07777), path);
    JsonNode time = stat.path("st_mtim");
    String seconds =
        "@%d.%09d".formatted(time.path("tv_sec").asLong(), time.path("tv_nsec").asLong());
    Tool.succeed("touch", "-d", seconds, path);
    for (JsonNode link : item.path("links")) {
      Tool.succeed("ln", path, target + "/" + decoded(item, link.asText()));
    }
  }

  /** A path of manage.json, whose bytes may be written as %XX. */
  private static String decoded(JsonNode item, String path) {
    if (item.path("encodeFlag").asInt() != 1) {
      return path;
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int i = 0; i < path.length(); ++i) {
      if (path.charAt(i) == '%') {
        bytes.write(Integer.parseInt(path.substring(i + 1, i + 3), 16));
        i += 2;
      } else {
        bytes.write(path.charAt(i));
      }
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private static void backUp() throws IOException {
    try (BackupService service = BackupService.embedded(device.root())) {
      BackupReport report = store.backupFull(service, List.of(BUNDLE), Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
      assertTrue(report.bundles().get(0).bytesShared() >= BIG, report.toString());
    }
  }

  private static Path snapshot() throws IOException {
    return store.snapshots().get(0).directory();
  }

  private static List<Path> parts() throws IOException {
    List<Path> parts = new ArrayList<>();
    try (var files = Files.newDirectoryStream(snapshot(), "*part.*.tar")) {
      files.forEach(parts::add);
    }
    assertFalse(parts.isEmpty());
    return parts;
  }
}
