package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.backupkit.AsyncCallback;
import org.backupkit.BackupException;
import org.backupkit.BackupService;
import org.backupkit.Device;
import org.backupkit.Fd;
import org.backupkit.FileData;
import org.backupkit.FileMeta;
import org.backupkit.GeneralCallbacks;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A device with the seed's app, for the tests of its statements. */
@Timeout(120)
@ExtendWith(Census.class)
abstract class OnDevice {
  static final String HIWORLD = "com.example.hiworld";
  static final String MY_APP = "com.example.myApp";
  static final String UNKNOWN = "com.example.unknown";
  static final int PARAMETER = 401;
  static final int NOT_ADDED = 13500001;
  static final int START_FAILED = 13500002;
  static final int TIMED_OUT = 13500003;
  static final int EXTENSION_DIED = 13500004;
  static final int SESSION_CONFLICT = 13500013;
  static final int IPC = 13600001;
  static final int NOT_PERMITTED = 13900001;
  static final int IO = 13900005;
  static final int OUT_OF_MEMORY = 13900011;
  static final int INVALID = 13900020;
  static final int NO_SPACE = 13900025;

  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;
  Device device;
  Path sandbox;

  @BeforeEach
  void makeTheDevice() throws IOException {
    device = new Device(directory.resolve("device"));
    sandbox = device.addBundle(HIWORLD);
    Files.writeString(sandbox.resolve("note.txt"), "first note");
  }

  /** A call that may fail. */
  interface Call {
    Object run() throws Exception;
  }

  BackupService embedded() throws BackupException {
    return BackupService.embedded(device.root());
  }

  /** The code with which a call, or the future that it gives, fails; 0 when it does not. */
  static int codeOf(Call call) throws Exception {
    try {
      Object result = call.run();
      if (result instanceof CompletableFuture<?> future) {
        Object value = future.get(30, TimeUnit.SECONDS);
        if (value instanceof FileData data) {
          data.close();
        }
      } else if (result instanceof AutoCloseable open) {
        open.close();
      }
      return 0;
    } catch (BackupException e) {
      return e.code();
    } catch (ExecutionException e) {
      return assertInstanceOf(BackupException.class, e.getCause()).code();
    }
  }

  /** The outcome that a callback is told, as a future. */
  static CompletableFuture<Void> told(Consumer<AsyncCallback<Void>> call) {
    CompletableFuture<Void> future = new CompletableFuture<>();
    call.accept(completing(future));
    return future;
  }

  /** The same of the only other one. */
  static CompletableFuture<FileData> toldData(Consumer<AsyncCallback<FileData>> call) {
    CompletableFuture<FileData> future = new CompletableFuture<>();
    call.accept(completing(future));
    return future;
  }

  private static <T> AsyncCallback<T> completing(CompletableFuture<T> future) {
    return (error, data) -> {
      if (error == null) {
        future.complete(data);
      } else {
        future.completeExceptionally(error);
      }
    };
  }

  /** A null that no nullness check sees. */
  static <T> T absent() {
    return null;
  }

  static JsonNode json(String text) throws IOException {
    return JSON.readTree(text);
  }

  static JsonNode json(FileData capabilities) throws IOException {
    return JSON.readTree(capabilities.fd().readAllBytes());
  }

  /** The entry of a bundle in a capability file; missing where it has none. */
  static JsonNode entry(JsonNode capabilities, String bundle) {
    for (JsonNode info : capabilities.path("bundleInfos")) {
      if (info.path("name").asText().equals(bundle)) {
        return info;
      }
    }
    return capabilities.path("bundleInfos").path(-1);
  }

  /** Backs up bundles, which must succeed. */
  static Events backUp(BackupService service, List<String> bundles) throws Exception {
    Events events = new Events();
    try (SessionBackup session = new SessionBackup(service, events)) {
      session.appendBundles(bundles).get();
      events.awaitAll();
    }
    for (Note note : events.notes()) {
      assertEquals(0, note.code(), note.toString());
    }
    return events;
  }

  /** A restore session whose listener writes files into the handles that it gets. */
  static SessionRestore restoring(BackupService service, Events events, Map<String, byte[]> files)
      throws BackupException {
    return new SessionRestore(
        service, events.receive(file -> write(file.fd(), files.get(file.uri()))));
  }

  static void append(BackupService service, SessionRestore session, List<String> bundles)
      throws Exception {
    try (FileData capabilities = service.getLocalCapabilities().get()) {
      session.appendBundles(capabilities.fd(), bundles).get();
    }
  }

  /** Asks for all files of a bundle, waits until they are written, and publishes them. */
  static void publishAll(
      SessionRestore session, Events events, String bundle, Map<String, byte[]> files)
      throws Exception {
    for (String uri : files.keySet()) {
      session.getFileHandle(new FileMeta(bundle, uri)).get();
    }
    events.await(Kind.FILE, bundle, files.size());
    session.publishFile(new FileMeta(bundle, "")).get();
  }

  static void write(Fd fd, byte[] content) throws IOException {
    try (var out = fd.newOutputStream()) {
      out.write(content);
    }
  }

  Fd file(String name, String content) throws IOException {
    return Fd.open(Files.writeString(directory.resolve(name), content, StandardCharsets.UTF_8));
  }

  static GeneralCallbacks silent() {
    return new GeneralCallbacks() {};
  }
}
