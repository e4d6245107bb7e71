package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.FileData;
import org.backupkit.SessionBackup;
import org.junit.jupiter.api.Test;

/** The library in class loaders of its own, as a server has it that loads programs again. */
class ClassLoaderTest extends OnDevice {
  private static final int COLLECTIONS = 100;

  /** What a program does; run in the loader that it is of. */
  public static final class Program {
    private Program() {}

    /** Uses everything once, and closes it. */
    public static void run(Path root) throws Exception {
      Events events = new Events();
      try (BackupService service = BackupService.embedded(root);
          FileData capabilities = service.getLocalCapabilities().get();
          SessionBackup session = new SessionBackup(service, events)) {
        assertNotEquals(0, capabilities.fd().size());
        assertEquals(0, codeOf(() -> toldData(service::getLocalCapabilities)));
        assertEquals(INVALID, codeOf(() -> Fd.open(root.resolve("missing"))));
        session.appendBundles(List.of(HIWORLD), List.of("{}")).get();
        assertEquals(0, events.awaitAll().code());
      }
    }
  }

  @Test
  void oneThatIsDropped_isUnloadedWithItsLibraryAndItsThreads() throws Exception {
    Set<Thread> before = Thread.getAllStackTraces().keySet(); // of other tests' hooks, say
    Program.run(device.root()); // so that its own copy is another one
    List<String> others = libraries();
    WeakReference<ClassLoader> dropped = useAndDrop();
    awaitTheEndOfOurThreads(before);
    for (int i = 0; i < COLLECTIONS && dropped.get() != null; i++) {
      System.gc();
    }
    assertNull(dropped.get());
    // The JVM lets go of the library after the loader, on a thread of its own.
    for (int i = 0; i < COLLECTIONS && !others.containsAll(libraries()); i++) {
      System.gc();
    }
    assertTrue(others.containsAll(libraries()), libraries() + " beside " + others);
  }

  @Test
  void twoAtOnce_haveTheirOwnLibraryEach() throws Exception {
    try (URLClassLoader first = loader();
        URLClassLoader second = loader()) {
      assertNotSame(
          first.loadClass(BackupService.class.getName()),
          second.loadClass(BackupService.class.getName()));
      use(first);
      use(second);
      use(first);
      use(getClass().getClassLoader());
      assertTrue(libraries().size() >= 3, libraries().toString());
    }
  }

  private WeakReference<ClassLoader> useAndDrop() throws Exception {
    try (URLClassLoader loader = loader()) {
      use(loader);
      return new WeakReference<>(loader);
    }
  }

  private static void awaitTheEndOfOurThreads(Set<Thread> before) throws InterruptedException {
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      if (thread.getName().startsWith("backupkit-") && !before.contains(thread)) {
        thread.join(30_000);
        assertFalse(thread.isAlive(), thread + " is left");
      }
    }
  }

  /** On a thread that ends, with what libraries keep for a thread. */
  private void use(ClassLoader loader) throws Exception {
    Method run = loader.loadClass(Program.class.getName()).getMethod("run", Path.class);
    FutureTask<Object> task = new FutureTask<>(() -> run.invoke(null, device.root()));
    Thread thread = new Thread(task);
    thread.setContextClassLoader(loader);
    thread.start();
    task.get();
    thread.join();
  }

  /** One that shares nothing with ours but the JDK. */
  private static URLClassLoader loader() throws IOException {
    List<URL> places = new ArrayList<>();
    for (String place : System.getProperty("java.class.path").split(File.pathSeparator)) {
      places.add(Path.of(place).toUri().toURL());
    }
    return new URLClassLoader(places.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
  }

  /** The copies of our library that this process has loaded. */
  private static List<String> libraries() throws IOException {
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      return maps.filter(
              line -> line.matches(".*/(lib)?backupkit[^/]*[.]so.*") && line.contains(" r-xp "))
          .map(line -> line.substring(line.indexOf('/')))
          .toList();
    }
  }
}
