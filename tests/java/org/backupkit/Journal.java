package org.backupkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Notes all that is told, in order and with the time, and closes every file, whose content it keeps
 * in a directory for each bundle, if it has a place for them. Thread-safe.
 */
public class Journal implements GeneralCallbacks {
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(30);

  private final List<Note> notes = new ArrayList<>(); // guarded by this
  private final @Nullable Path store;

  public Journal() {
    this(null);
  }

  public Journal(@Nullable Path store) {
    this.store = store;
  }

  public enum Kind {
    BEGIN,
    FILE,
    PROCESS,
    REPORT,
    END,
    ALL,
    SIZE,
    DIED
  }

  /** Something told; {@code text} is a uri or a JSON text, {@code time} of System.nanoTime(). */
  public record Note(
      Kind kind, String bundle, String text, @Nullable BackupException error, long time) {
    public int code() {
      return error == null ? 0 : error.code();
    }

    public String message() {
      return error == null ? "" : String.valueOf(error.getMessage());
    }

    @Override
    public String toString() {
      return kind + " " + bundle + " " + text + (error == null ? "" : " " + error);
    }
  }

  /** All of a bundle, or of no bundle where that is "", that was told so far. */
  public List<Note> of(Kind kind, String bundle) {
    return matching(note -> note.kind() == kind && note.bundle().equals(bundle));
  }

  public synchronized List<Note> notes() {
    return List.copyOf(notes);
  }

  /** The first of its kind, as soon as it has been told. */
  public Note await(Kind kind, String bundle) throws InterruptedException {
    return await(kind, bundle, 1);
  }

  /** The one with that number, from 1 on. */
  public synchronized Note await(Kind kind, String bundle, int number) throws InterruptedException {
    long end = System.nanoTime() + PATIENCE;
    for (long left = PATIENCE; left > 0; left = end - System.nanoTime()) {
      List<Note> found = of(kind, bundle);
      if (found.size() >= number) {
        return found.get(number - 1);
      }
      TimeUnit.NANOSECONDS.timedWait(this, left);
    }
    throw new AssertionError("no " + kind + " of " + bundle + " was told: " + notes);
  }

  public Note awaitAll() throws InterruptedException {
    return await(Kind.ALL, "");
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    if (file == null) {
      String bundle = error == null ? "" : String.valueOf(error.bundleName());
      note(Kind.FILE, bundle, error == null ? "" : String.valueOf(error.uri()), error);
      return;
    }
    note(Kind.FILE, file.bundleName(), file.uri(), null);
    try (file) {
      if (store != null) {
        Path folder = Files.createDirectories(store.resolve(file.bundleName()));
        file.fd().copyTo(folder.resolve(file.uri()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void onBundleBegin(@Nullable BackupException error, String bundleName) {
    note(Kind.BEGIN, bundleName, "", error);
  }

  @Override
  public void onBundleEnd(@Nullable BackupException error, String bundleName) {
    note(Kind.END, bundleName, "", error);
  }

  @Override
  public void onAllBundlesEnd(@Nullable BackupException error) {
    note(Kind.ALL, "", "", error);
  }

  @Override
  public void onBackupServiceDied() {
    note(Kind.DIED, "", "", null);
  }

  @Override
  public void onResultReport(String bundleName, String result) {
    note(Kind.REPORT, bundleName, result, null);
  }

  @Override
  public void onProcess(String bundleName, String process) {
    note(Kind.PROCESS, bundleName, process, null);
  }

  @Override
  public void onBackupSizeReport(String report) {
    note(Kind.SIZE, "", report, null);
  }

  protected final synchronized void note(
      Kind kind, String bundle, String text, @Nullable BackupException error) {
    notes.add(new Note(kind, bundle, text, error, System.nanoTime()));
    notifyAll();
  }

  private synchronized List<Note> matching(Predicate<Note> wanted) {
    return notes.stream().filter(wanted).toList();
  }
}
