package org.backupkit.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Tool;
import org.backupkit.store.BackupReport;
import org.backupkit.store.BundleResult;
import org.backupkit.store.Progress;
import org.backupkit.store.SnapshotStore;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is beside the content of files, in a backup as other programs see it. */
@Timeout(60)
class AttributesTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String BUNDLE = "com.example.attributes";

  @TempDir Path directory;
  private Device device;
  private Path sandbox;
  private final List<SnapshotStore> stores = new ArrayList<>();

  @BeforeEach
  void makeATree() throws Exception {
    Tool.need("sh", "getfattr", "setfattr", "getfacl", "setfacl", "truncate");
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(BUNDLE);
    seen(
        """
        mkdir dir
        echo a > dir/file
        setfattr -n user.binary -v 0x00ff0a3d dir/file
        setfattr -n user.empty dir/file
        setfattr -n user.of.a.directory -v yes dir
        setfacl -m u:12345:r dir/file
        setfacl -m u:12345:rx -d -m g:54321:rwx dir
        truncate -s 1000000 dir/holes
        printf middle | dd of=dir/holes bs=1 seek=500000 conv=notrunc status=none
        truncate -s 5000000 big
        printf middle | dd of=big bs=1 seek=3000000 conv=notrunc status=none
        setfattr -n user.binary -v 0x00ff0a3d big
        setfacl -m u:12345:r big
        """,
        sandbox);
  }

  @Test
  void gnuTarGivesWhatAPartHas() throws Exception {
    addWhatOnlyRootCan();
    assertIsUnpackedBy("tar", "--xattrs", "--xattrs-include=*", "--acls", "-xpf");
  }

  @Test
  void gnuTarGivesTheAclsWithoutTheAttributes() throws Exception {
    Tool.need("tar");
    Path target = unpack(backUp(), "tar", "--acls", "-xpf");
    assertEquals(seen("getfacl -nR dir", sandbox), seen("getfacl -nR dir", target));
  }

  @Test
  void bsdtarGivesWhatAPartHas() throws Exception {
    addWhatOnlyRootCan();
    assertIsUnpackedBy("bsdtar", "--xattrs", "--acls", "-xpf");
  }

  @Test
  void manageJsonHasTheAttributesAndHolesOfABigFile() throws Exception {
    JsonNode big = bigFile(backUp());
    assertEquals("AP8KPQ==", big.path("xattrs").path("user.binary").asText());
    String acl =
        seen("getfattr --only-values -n system.posix_acl_access big | base64 -w0", sandbox);
    assertEquals(acl, big.path("xattrs").path("system.posix_acl_access").asText());
    long end = 0;
    long hollow = 0;
    for (JsonNode hole : big.path("holes")) {
      assertTrue(hole.path(0).asLong() >= end);
      end = hole.path(0).asLong() + hole.path(1).asLong();
      hollow += hole.path(1).asLong();
    }
    assertEquals(5_000_000, end);
    long stored = Long.parseLong(seen("stat -c %b big", sandbox).strip()) * 512;
    assertTrue(5_000_000 - hollow <= stored, hollow + " of holes, " + stored + " on the disk");
    assertTrue(hollow > 4_800_000);
  }

  @Test
  void aLabelIsStoredUnlessTheBundleSaysNone() throws Exception {
    String set = "setfattr -n security.selinux -v label dir/file big 2>/dev/null && echo done";
    Assumptions.assumeTrue(seen(set + " || true", sandbox).contains("done"), "labels need root");
    for (String labels : List.of("", "keep", "derive", "none")) {
      writeLabels(labels);
      Path snapshot = backUp();
      boolean expected = !labels.equals("none");
      assertEquals(expected, bigFile(snapshot).path("xattrs").has("security.selinux"), labels);
      byte[] part = Files.readAllBytes(part(snapshot));
      String text = new String(part, StandardCharsets.ISO_8859_1);
      assertEquals(expected, text.contains("SCHILY.xattr.security.selinux=label"), labels);
    }
  }

  @Test
  void aChangedAttributeComesWithTheNextBackup() throws Exception {
    SnapshotStore store = SnapshotStore.open(directory.resolve("chain"));
    next(store);
    seen(
        "setfattr -n user.binary -v new dir/file big; setfattr -n user.of.a.directory -v no dir",
        sandbox);
    Path snapshot = next(store);
    String expected = Base64.getEncoder().encodeToString("new".getBytes(StandardCharsets.UTF_8));
    assertEquals(expected, bigFile(snapshot).path("xattrs").path("user.binary").asText());
    String text = new String(Files.readAllBytes(part(snapshot)), StandardCharsets.ISO_8859_1);
    assertTrue(text.contains("SCHILY.xattr.user.binary=new\n"));
    assertTrue(text.contains("SCHILY.xattr.user.of.a.directory=no\n"));
  }

  @Test
  void anotherWordForLabelsIsRefused() throws Exception {
    writeLabels("some");
    BundleResult result = run().bundles().get(0);
    assertFalse(result.succeeded());
    assertTrue(result.message().contains("labels"), result.toString());
  }

  private void assertIsUnpackedBy(String... command) throws Exception {
    Tool.need(command[0]);
    Path target = unpack(backUp(), command);
    String attributes = "getfattr -hRd -m - dir | sort";
    assertEquals(seen(attributes, sandbox), seen(attributes, target));
    assertEquals(seen("getfacl -nR dir", sandbox), seen("getfacl -nR dir", target));
    seen("cmp '" + sandbox + "/dir/holes' '" + target + "/dir/holes'", directory);
    assertEquals(seen("stat -c %s dir/holes", sandbox), seen("stat -c %s dir/holes", target));
    long blocks = Long.parseLong(seen("stat -c %b dir/holes", target).strip());
    assertTrue(blocks < 100, blocks + " blocks");
  }

  private void addWhatOnlyRootCan() throws Exception {
    seen("setcap cap_net_raw+ep dir/file 2>/dev/null || true", sandbox);
  }

  private void writeLabels(String labels) throws IOException {
    ObjectNode bundle = (ObjectNode) JSON.readTree(device.bundleFile(BUNDLE).toFile());
    if (!labels.isEmpty()) {
      ((ObjectNode) bundle.get("backup")).put("labels", labels);
    }
    JSON.writeValue(device.bundleFile(BUNDLE).toFile(), bundle);
  }

  /** Backs up into a new store; gives the snapshot. */
  private Path backUp() throws IOException {
    BackupReport report = run();
    assertTrue(report.succeeded(), report.toString());
    return stores.get(stores.size() - 1).snapshots().get(0).directory();
  }

  private BackupReport run() throws IOException {
    stores.add(SnapshotStore.open(directory.resolve("store" + stores.size())));
    try (BackupService service = BackupService.embedded(device.root())) {
      return stores.get(stores.size() - 1).backupFull(service, List.of(BUNDLE), Progress.NONE);
    }
  }

  /** Backs up what has changed; gives the snapshot. */
  private Path next(SnapshotStore store) throws IOException {
    try (BackupService service = BackupService.embedded(device.root())) {
      BackupReport report = store.backup(service, List.of(BUNDLE), Progress.NONE);
      assertTrue(report.succeeded(), report.toString());
      String name = report.bundles().get(0).snapshot();
      return store.snapshots().stream()
          .filter(snapshot -> name.equals(snapshot.directory().getFileName().toString()))
          .findFirst()
          .orElseThrow(() -> new AssertionError("no snapshot " + name))
          .directory();
    }
  }

  private Path unpack(Path snapshot, String... command) throws Exception {
    Path target = Files.createDirectory(directory.resolve("by-hand"));
    List<String> all = new ArrayList<>(List.of(command));
    all.addAll(List.of(part(snapshot).toString(), "-C", target.toString()));
    Tool.succeed(all.toArray(String[]::new));
    return target;
  }

  private static Path part(Path snapshot) throws IOException {
    try (var files = Files.newDirectoryStream(snapshot, "*part.0.tar")) {
      return files.iterator().next();
    }
  }

  private static JsonNode bigFile(Path snapshot) throws IOException {
    for (JsonNode item : JSON.readTree(snapshot.resolve("manage.json").toFile())) {
      if (item.path("isBigFile").asBoolean()) {
        return item;
      }
    }
    throw new AssertionError("no big file");
  }

  private static String seen(String command, Path where) throws Exception {
    return Tool.succeed("sh", "-euc", "cd \"$1\"\n" + command, "sh", where.toString());
  }
}
