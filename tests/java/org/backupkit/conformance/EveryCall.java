package org.backupkit.conformance;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.FileMeta;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.IncrementalBackupTime;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.conformance.OnDevice.Call;

/** A good call of every method that asks the service, by its name and the types it takes. */
final class EveryCall {
  private static final String BUNDLE = OnDevice.HIWORLD;
  private static final List<String> BUNDLES = List.of(BUNDLE);
  private static final List<String> INFOS = List.of("{}");
  private static final List<IncrementalBackupTime> TIMES =
      List.of(new IncrementalBackupTime(BUNDLE, 0));
  private static final List<IncrementalBackupData> DATA =
      List.of(IncrementalBackupData.builder(BUNDLE).build());
  private static final FileMeta FILE = new FileMeta(BUNDLE, "test.txt");

  private EveryCall() {}

  static Map<String, Call> of(BackupService service) {
    Map<String, Call> calls = new TreeMap<>();
    calls.put("getLocalCapabilities()", service::getLocalCapabilities);
    calls.put(
        "getLocalCapabilities(AsyncCallback)",
        () -> OnDevice.toldData(service::getLocalCapabilities));
    calls.put("getLocalCapabilities(List)", () -> service.getLocalCapabilities(TIMES));
    calls.put("getBackupInfo(String)", () -> service.getBackupInfo(BUNDLE));
    calls.put("updateTimer(String,int)", () -> service.updateTimer(BUNDLE, 1000));
    calls.put("updateSendRate(String,int)", () -> service.updateSendRate(BUNDLE, 1));
    calls.put("getBackupVersion()", service::getBackupVersion);
    return calls;
  }

  static Map<String, Call> of(SessionBackup session) {
    Map<String, Call> calls = new TreeMap<>();
    calls.put(
        "appendBundles(List,AsyncCallback)",
        () -> OnDevice.told(callback -> session.appendBundles(BUNDLES, callback)));
    calls.put("appendBundles(List)", () -> session.appendBundles(BUNDLES));
    calls.put("appendBundles(List,List)", () -> session.appendBundles(BUNDLES, INFOS));
    calls.put("getBackupDataSize(boolean,List)", () -> session.getBackupDataSize(true, TIMES));
    calls.put("getLocalCapabilities()", session::getLocalCapabilities);
    calls.put("cancel(String)", () -> session.cancel(BUNDLE));
    calls.put("cleanBundleTempDir(String)", () -> session.cleanBundleTempDir(BUNDLE));
    calls.put(
        "getCompatibilityInfo(String,String)", () -> session.getCompatibilityInfo(BUNDLE, ""));
    return calls;
  }

  /** {@code file} is a capability file, and a file to give. */
  static Map<String, Call> of(SessionRestore session, Fd file) {
    Map<String, Call> calls = new TreeMap<>();
    calls.put(
        "appendBundles(Fd,List,AsyncCallback)",
        () -> OnDevice.told(callback -> session.appendBundles(file, BUNDLES, callback)));
    calls.put("appendBundles(Fd,List)", () -> session.appendBundles(file, BUNDLES));
    calls.put("appendBundles(Fd,List,List)", () -> session.appendBundles(file, BUNDLES, INFOS));
    calls.put(
        "getFileHandle(FileMeta,AsyncCallback)",
        () -> OnDevice.told(callback -> session.getFileHandle(FILE, callback)));
    calls.put("getFileHandle(FileMeta)", () -> session.getFileHandle(FILE));
    calls.put(
        "getFileHandles(String,List)",
        () -> session.getFileHandles(BUNDLE, List.of("a.txt", "b.txt")));
    calls.put(
        "publishFile(FileMeta,AsyncCallback)",
        () -> OnDevice.told(callback -> session.publishFile(FILE, callback)));
    calls.put("publishFile(FileMeta)", () -> session.publishFile(FILE));
    calls.put("giveFile(FileMeta,Fd)", () -> session.giveFile(FILE, file));
    calls.put("getLocalCapabilities()", session::getLocalCapabilities);
    calls.put("cancel(String)", () -> session.cancel(BUNDLE));
    calls.put("cleanBundleTempDir(String)", () -> session.cleanBundleTempDir(BUNDLE));
    calls.put(
        "getCompatibilityInfo(String,String)", () -> session.getCompatibilityInfo(BUNDLE, ""));
    return calls;
  }

  static Map<String, Call> of(IncrementalBackupSession session) {
    Map<String, Call> calls = new TreeMap<>();
    calls.put("appendBundles(List)", () -> session.appendBundles(DATA));
    calls.put("appendBundles(List,List)", () -> session.appendBundles(DATA, INFOS));
    calls.put("getBackupDataSize(boolean,List)", () -> session.getBackupDataSize(true, TIMES));
    calls.put("getLocalCapabilities()", session::getLocalCapabilities);
    calls.put("cancel(String)", () -> session.cancel(BUNDLE));
    calls.put("cleanBundleTempDir(String)", () -> session.cleanBundleTempDir(BUNDLE));
    calls.put(
        "getCompatibilityInfo(String,String)", () -> session.getCompatibilityInfo(BUNDLE, ""));
    return calls;
  }

  /** The methods of a class as the tables have them; without those that answer by themselves. */
  static Set<String> methodsOf(Class<?> type, String... others) {
    Set<String> found = new TreeSet<>();
    for (Method method : type.getDeclaredMethods()) {
      if (Modifier.isPublic(method.getModifiers()) && !Modifier.isStatic(method.getModifiers())) {
        found.add(
            Stream.of(method.getParameterTypes())
                .map(Class::getSimpleName)
                .collect(Collectors.joining(",", method.getName() + "(", ")")));
      }
    }
    found.removeAll(Set.of(others));
    return found;
  }
}
