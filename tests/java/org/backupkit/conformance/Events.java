package org.backupkit.conformance;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.backupkit.BackupException;
import org.backupkit.BackupFile;
import org.backupkit.Journal;
import org.jspecify.annotations.Nullable;

/** Notes all that is told, keeps the contents of the files, and acts at some of it. */
final class Events extends Journal {
  /** What is done when a bundle begins or was refused. */
  interface Reaction {
    void to(String bundle) throws Exception;
  }

  /** What is done with a file that came; it is closed and noted afterwards. */
  interface Receiver {
    void take(BackupFile file) throws Exception;
  }

  private final Map<String, byte[]> contents = new TreeMap<>();
  private Reaction atBegin = bundle -> {};
  private Receiver receiver = this::keep;
  private @Nullable Exception broken;

  /** Set before the session is made. */
  Events atBegin(Reaction value) {
    atBegin = value;
    return this;
  }

  /** Set before the session is made. */
  Events receive(Receiver value) {
    receiver = value;
    return this;
  }

  /** All of one kind, of whichever bundle, that was told so far. */
  List<Note> all(Kind kind) {
    return notes().stream().filter(note -> note.kind() == kind).toList();
  }

  /** The contents of a bundle's files by uri. */
  synchronized Map<String, byte[]> files(String bundle) {
    Map<String, byte[]> found = new TreeMap<>();
    contents.forEach(
        (name, content) -> {
          if (name.startsWith(bundle + "/")) {
            found.put(name.substring(bundle.length() + 1), content);
          }
        });
    return found;
  }

  @Override
  public synchronized Note await(Kind kind, String bundle, int number) throws InterruptedException {
    Note note = super.await(kind, bundle, number);
    if (broken != null) {
      throw new AssertionError("in a callback", broken);
    }
    return note;
  }

  @Override
  public void onFileReady(@Nullable BackupException error, @Nullable BackupFile file) {
    if (file == null) {
      super.onFileReady(error, file);
      return;
    }
    try (file) {
      receiver.take(file);
    } catch (Exception e) {
      fail(e);
    }
    note(Kind.FILE, file.bundleName(), file.uri(), null);
  }

  @Override
  public void onBundleBegin(@Nullable BackupException error, String bundleName) {
    try {
      atBegin.to(bundleName);
    } catch (Exception e) {
      fail(e);
    }
    super.onBundleBegin(error, bundleName);
  }

  private void keep(BackupFile file) throws IOException {
    byte[] content = file.fd().readAllBytes();
    synchronized (this) {
      contents.put(file.bundleName() + "/" + file.uri(), content);
    }
  }

  private synchronized void fail(Exception why) {
    broken = why;
  }
}
