package org.backupkit.internal;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.jspecify.annotations.Nullable;
import org.scijava.nativelib.BaseJniExtractor;
import org.scijava.nativelib.NativeLibraryUtil;

/**
 * Finds and loads libbackupkit.so, and finds backupd beside it: the file that property {@code
 * backupkit.library} names and no other, or without the property one in {@code java.library.path},
 * or the class path's {@code natives/<platform>}, taken in place or extracted from a jar. Loaded by
 * the initialisation of {@link Bridge} and by nothing else. The JVM loads a file for one class
 * loader: another one loads a copy.
 */
public final class NativeLibrary {
  private static final int VERSION = 4;
  private static final String LIBRARY_PROPERTY = "backupkit.library";
  private static final String SERVICE_PROPERTY = "backupkit.backupd";
  private static final String SERVICE_NAME = "backupd";

  private static volatile @Nullable Path loaded;

  private NativeLibrary() {}

  /**
   * Loads the library.
   *
   * @throws UnsatisfiedLinkError with every failed attempt in its message and suppressed
   */
  static synchronized void load() {
    List<Throwable> failures = new ArrayList<>();
    String explicit = System.getProperty(LIBRARY_PROPERTY);
    boolean isLoaded =
        explicit != null
            ? attempt(() -> Path.of(explicit), failures)
            : attempt(NativeLibrary::inLibraryPath, failures)
                || attempt(() -> onClassPath(libraryName()), failures);
    if (!isLoaded) {
      throw failure(explicit, failures);
    }
  }

  private static UnsatisfiedLinkError failure(@Nullable String explicit, List<Throwable> failures) {
    StringBuilder message = new StringBuilder("libbackupkit cannot be loaded; ");
    if (explicit == null) {
      message
          .append("name it by -D" + LIBRARY_PROPERTY)
          .append(", or by -Djava.io.tmpdir a folder where it may be put and executed:");
    } else {
      message
          .append("-D" + LIBRARY_PROPERTY + " names \"")
          .append(explicit)
          .append("\"; correct it, or leave it out for the jar's own:");
    }
    for (Throwable failure : failures) {
      message.append("\n  ").append(failure);
      for (Throwable ofCopy : failure.getSuppressed()) {
        message.append("\n    and a copy of it: ").append(ofCopy);
      }
    }
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(message.toString());
    failures.forEach(error::addSuppressed);
    return error;
  }

  /**
   * Finds the service's executable: the file that property {@code backupkit.backupd} names, else
   * the one beside the library.
   *
   * @return the file
   * @throws BackupException 13500002 if there is none
   * @throws UnsatisfiedLinkError if the library cannot be loaded
   */
  public static Path backupd() throws BackupException {
    String explicit = System.getProperty(SERVICE_PROPERTY);
    if (explicit != null) {
      return Path.of(explicit);
    }
    Bridge.version(); // loads the library
    Path library = loaded;
    Path beside = library == null ? null : library.resolveSibling(SERVICE_NAME);
    try {
      if (beside != null && Files.exists(beside)) {
        return executable(beside);
      }
      return executable(onClassPath(SERVICE_NAME));
    } catch (IOException e) {
      BackupException failure =
          new BackupException(
              ErrorCode.EXTENSION_START_FAILED,
              "backupd is not beside \"" + library + "\"; name it by -D" + SERVICE_PROPERTY);
      failure.initCause(e);
      throw failure;
    }
  }

  private static boolean attempt(Finder finder, List<Throwable> failures) {
    try {
      Path library = finder.find().toAbsolutePath();
      loadOrCopy(library);
      int version = Bridge.version();
      if (version != VERSION) {
        throw new IOException(library + " is of version " + version + ", not " + VERSION);
      }
      loaded = library;
      return true;
    } catch (IOException | RuntimeException | UnsatisfiedLinkError e) {
      failures.add(e);
      return false;
    }
  }

  private static void loadOrCopy(Path library) throws IOException {
    try {
      System.load(library.toString());
    } catch (UnsatisfiedLinkError e) {
      if (!Files.exists(library)) {
        throw e;
      }
      try {
        loadCopy(library);
      } catch (IOException | UnsatisfiedLinkError ofCopy) {
        e.addSuppressed(ofCopy);
        throw e;
      }
    }
  }

  private static void loadCopy(Path library) throws IOException {
    Path copy = Files.createTempFile("backupkit-", ".so");
    try {
      Files.copy(library, copy, StandardCopyOption.REPLACE_EXISTING);
      System.load(copy.toString());
    } finally {
      Files.delete(copy); // what is loaded stays
    }
  }

  private static String libraryName() {
    return System.mapLibraryName("backupkit");
  }

  private static Path inLibraryPath() throws IOException {
    String folders = System.getProperty("java.library.path", "");
    for (String folder : folders.split(File.pathSeparator)) {
      Path file = Path.of(folder, libraryName());
      if (!folder.isEmpty() && Files.exists(file)) {
        return file;
      }
    }
    throw new IOException("java.library.path has no " + libraryName() + ": " + folders);
  }

  private static Path onClassPath(String name) throws IOException {
    String resource =
        "/"
            + NativeLibraryUtil.getPlatformLibraryPath(NativeLibraryUtil.DEFAULT_SEARCH_PATH)
            + name;
    URL url = NativeLibrary.class.getResource(resource);
    if (url == null) {
      throw new IOException("the class path has no " + resource);
    }
    if (url.getProtocol().equals("file")) {
      return Path.of(URI.create(url.toString()));
    }
    return Extractor.instance().extract(url, name);
  }

  private static Path executable(Path file) throws IOException {
    if (!Files.isExecutable(file)) {
      Set<PosixFilePermission> mode = EnumSet.copyOf(Files.getPosixFilePermissions(file));
      mode.add(PosixFilePermission.OWNER_EXECUTE);
      Files.setPosixFilePermissions(file, mode);
    }
    return file;
  }

  @FunctionalInterface
  private interface Finder {
    Path find() throws IOException;
  }

  /**
   * Extracts into a directory of this process. Not the loader's default one: other processes sweep
   * that after five minutes, and backupd is started later than that.
   */
  private static final class Extractor extends BaseJniExtractor {
    private static @Nullable Extractor instance;

    private final File directory;

    private Extractor() throws IOException {
      super(NativeLibrary.class);
      directory = Files.createTempDirectory("backupkit-natives-").toFile();
      directory.deleteOnExit();
    }

    static synchronized Extractor instance() throws IOException {
      Extractor existing = instance;
      if (existing == null) {
        existing = new Extractor();
        instance = existing;
      }
      return existing;
    }

    Path extract(URL resource, String name) throws IOException {
      Path target = directory.toPath().resolve(name);
      if (!Files.exists(target)) {
        target.toFile().deleteOnExit();
        try (InputStream in = resource.openStream()) {
          Files.copy(in, target);
        }
      }
      return target;
    }

    @Override
    public File getNativeDir() {
      return directory;
    }

    @Override
    public File getJniDir() {
      return directory;
    }
  }
}
