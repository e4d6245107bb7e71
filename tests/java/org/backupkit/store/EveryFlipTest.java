package org.backupkit.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Tool;
import org.backupkit.interop.Judges;
import org.backupkit.store.Manifest.Row;
import org.backupkit.store.VerifyReport.Damage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Of no byte of a store another value goes unseen: its snapshot and file are named and, where it is
 * one of an entry, that very entry and no other.
 */
@Timeout(3600)
class EveryFlipTest {
  private static final String WHOLE = "com.example.whole";
  private static final int PACKING_LIMIT = 40_000;
  private static final int USUAL = 6; // of each entry and table
  private static final int THREADS = 2;
  private static final int MOST_FAILURES = 20;

  @TempDir Path directory;

  private final Random random = Truth.random(EveryFlipTest.class);
  private Path home;

  /** One byte of the store, and the entry that it belongs to; "" where it is no entry's. */
  private record Flip(Path file, long at, int bit, String entry) {}

  /** What verifying has found of some flips. */
  private record Tally(long found, long named, long unowned, List<String> failures) {
    Tally and(Tally other) {
      List<String> all = new ArrayList<>(failures);
      all.addAll(other.failures);
      return new Tally(found + other.found, named + other.named, unowned + other.unowned, all);
    }
  }

  @BeforeEach
  void makeAChain() throws Exception {
    Judges.need();
    try (AppChain app = new AppChain(directory, PACKING_LIMIT)) {
      Judges.seen(
          """
          mkdir -p letters/old
          for i in 0 1 2 3 4 5; do head -c $((700 + i)) /dev/urandom >letters/$i.txt; done
          long=$(printf 'n%.0s' $(seq 130))
          echo one >${long}1; echo two >${long}3; echo three >"$(printf 'caf\\303\\251 %s' $long)"
          touch -d 1969-12-31T23:59:58.5Z letters/4.txt
          ln -s letters/1.txt link; ln -s ${long}1 longlink; mkfifo fifo
          ln letters/1.txt same
          head -c 41000 /dev/urandom >'big;.bin'; ln 'big;.bin' zbig
          truncate -s 36000 sparse; truncate -s 50000 bigsparse
          for at in 8192 20480; do
            head -c 900 /dev/urandom | dd of=sparse bs=1 seek=$at conv=notrunc status=none
          done
          cp --sparse=always sparse sparse2; echo end >>sparse2; echo end >>bigsparse
          setfattr -n user.comment -v 'a comment' letters/2.txt || :
          setfattr -n user.other -v '50% = half' letters/2.txt || :
          setfattr -n user.comment -v 'another' sparse || :
          setfattr -n user.comment -v 'a directory' letters || :
          setfacl -m u:1001:r,g:1002:rw letters/3.txt || :
          setfacl -d -m u:1001:rwx letters/old || :
          """,
          app.source());
      if (Device.isRoot()) {
        Judges.seen("chown 3000000:3000001 letters/5.txt; mknod null c 1 3", app.source());
      }
      app.backUp();
      Judges.seen(
          """
          echo changed >letters/0.txt; rm letters/old -r; mkdir -m 700 letters/new
          setfattr -n user.comment -v 'a new comment' letters/2.txt || :
          head -c 41000 /dev/urandom >big2
          """,
          app.source());
      app.backUp();
      Judges.seen(
          "chmod 600 letters/1.txt; truncate -s 39000 sparse; mv 'big;.bin' moved", app.source());
      app.backUp();
    }
    home = directory.resolve("store").resolve(AppChain.BUNDLE);
  }

  @Test
  void damageOfOneBundle_leavesTheOthersAsGood() throws Exception {
    SnapshotStore store = SnapshotStore.open(directory.resolve("store"));
    Device device = new Device(directory.resolve("third"));
    Path sandbox = device.addBundle(WHOLE);
    Files.writeString(sandbox.resolve("note"), "a note");
    try (BackupService service = BackupService.embedded(device.root())) {
      assertTrue(store.backup(service, List.of(WHOLE), Progress.NONE).succeeded());
      for (Path file : files(home)) {
        Flip flip = new Flip(file, random.nextInt((int) Files.size(file)), random.nextInt(8), "");
        flip(file, flip);
        Files.delete(sandbox.resolve("note"));
        assertTrue(store.restore(service, List.of(WHOLE), Progress.NONE).succeeded(), "" + flip);
        assertEquals("a note", Files.readString(sandbox.resolve("note")));
        assertEquals(1, store.verify(100, Progress.NONE).damage().size(), "" + flip);
        flip(file, flip);
      }
    }
    assertEquals(List.of(), store.verify(100, Progress.NONE).damage());
  }

  @Test
  void everyFlippedByte_isFound_andNamed() throws Exception {
    List<Flip> chosen = new ArrayList<>();
    int bytes = 0;
    for (Path file : files(home)) {
      List<Flip> all = flips(file);
      bytes += all.size();
      chosen.addAll(Truth.isWhole() ? all : some(all));
    }
    Tally tally = flipAll(chosen);
    System.out.printf(
        "EveryFlipTest: of %d bytes %d flipped, %d found: %d named with their entry, %d of no entry%n",
        bytes, chosen.size(), tally.found, tally.named, tally.unowned);
    assertEquals(List.of(), tally.failures.stream().limit(MOST_FAILURES).toList());
    assertEquals(chosen.size(), tally.named + tally.unowned);
  }

  private static List<Path> files(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }

  /** The flips of a file, of one bit in each byte. */
  private List<Flip> flips(Path file) throws Exception {
    TreeMap<Long, String> owners = owners(file);
    List<Flip> flips = new ArrayList<>();
    for (long at = 0; at < Files.size(file); at++) {
      flips.add(new Flip(file, at, random.nextInt(8), owners.floorEntry(at).getValue()));
    }
    return flips;
  }

  /** A few of each entry. */
  private List<Flip> some(List<Flip> flips) {
    Collections.shuffle(flips, random);
    return flips.stream().collect(Collectors.groupingBy(Flip::entry)).values().stream()
        .flatMap(ofOne -> ofOne.stream().limit(USUAL))
        .toList();
  }

  /** From which offset on the bytes of a file belong to which entry. */
  private static TreeMap<Long, String> owners(Path file) throws Exception {
    String name = file.getFileName().toString();
    if (name.endsWith(".tar")) {
      return ownersIn(file);
    }
    TreeMap<Long, String> owners = new TreeMap<>(Map.of(0L, ""));
    Path manifest = file.resolveSibling(Description.MANIFEST);
    for (Row row : Manifest.read(manifest).values()) {
      if (row.in().equals(name) && row.type().equals("f")) {
        owners.put(0L, Manifest.readable(row.path()));
      }
    }
    return owners;
  }

  /** The same for a part, whose entries tar names. */
  private static TreeMap<Long, String> ownersIn(Path part) throws Exception {
    TreeMap<Long, String> owners = new TreeMap<>();
    byte[] bytes = Files.readAllBytes(part);
    int at = 0;
    for (String name :
        Tool.succeed("tar", "--quoting-style=literal", "-tf", part.toString()).lines().toList()) {
      boolean isDirectory = name.length() > 1 && name.endsWith("/");
      owners.put((long) at, isDirectory ? name.substring(0, name.length() - 1) : name);
      if (bytes[at + 156] == 'x') {
        at = behind(bytes, at);
      }
      at = behind(bytes, at);
    }
    owners.put((long) at, "");
    return owners;
  }

  /** Where the next header is. */
  private static int behind(byte[] bytes, int header) {
    String size = new String(bytes, header + 124, 11, StandardCharsets.US_ASCII);
    return header + 512 + (Integer.parseInt(size, 8) + 511) / 512 * 512;
  }

  private Tally flipAll(List<Flip> flips) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Callable<Tally>> shares = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        List<Flip> share =
            flips.subList(i * flips.size() / THREADS, (i + 1) * flips.size() / THREADS);
        Path copy = directory.resolve("copy" + i);
        Tool.succeed("cp", "-a", directory.resolve("store").toString(), copy.toString());
        shares.add(() -> flipAll(share, copy));
      }
      Tally sum = new Tally(0, 0, 0, List.of());
      for (Future<Tally> tally : threads.invokeAll(shares)) {
        sum = sum.and(tally.get());
      }
      return sum;
    } finally {
      threads.shutdown();
    }
  }

  private Tally flipAll(List<Flip> flips, Path copy) throws IOException {
    long found = 0;
    long named = 0;
    List<String> failures = new ArrayList<>();
    for (Flip flip : flips) {
      Path file = copy.resolve(directory.resolve("store").relativize(flip.file));
      flip(file, flip);
      // No other snapshot reads that file.
      Verification verification = new Verification(100, Progress.NONE);
      verification.look(file.getParent());
      List<Damage> damage = verification.report().damage();
      flip(file, flip);
      found += damage.isEmpty() ? 0 : 1;
      if (!isNamed(flip, damage)) {
        failures.add(flip + ": " + damage);
      } else if (!flip.entry.isEmpty()) {
        named++;
      }
    }
    return new Tally(found, named, flips.size() - named - failures.size(), failures);
  }

  private static boolean isNamed(Flip flip, List<Damage> damage) {
    return damage.size() == 1
        && damage.get(0).bundle().equals(AppChain.BUNDLE)
        && flip.file.getParent().endsWith(damage.get(0).snapshot())
        && flip.file.endsWith(damage.get(0).file())
        && damage.get(0).entry().equals(flip.entry);
  }

  private static void flip(Path file, Flip flip) throws IOException {
    try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
      open.seek(flip.at);
      int value = open.read();
      open.seek(flip.at);
      open.write(value ^ 1 << flip.bit);
    }
  }
}
