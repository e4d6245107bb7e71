package org.backupkit.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import java.util.Map;
import org.backupkit.BackupService;
import org.backupkit.Fd;
import org.backupkit.IncrementalBackupData;
import org.backupkit.IncrementalBackupSession;
import org.backupkit.Journal.Kind;
import org.backupkit.Journal.Note;
import org.backupkit.SessionBackup;
import org.backupkit.SessionRestore;
import org.backupkit.ShellHook;
import org.junit.jupiter.api.Test;

/** The interface's own examples of infos, comments included, and very long ones. */
class InfosTest extends OnDevice {
  private static final String HELLOWORLD = "com.example.helloworld";
  private static final String DETAILS =
      """
                  "details": [
                      {
                          "detail": [
                              {
                                  "key1": "value1",
                                  "key2": "value2"
                              }
                          ]
                      }
                  ],
      """;
  private static final String OF_HIWORLD =
      """
          {
          "infos": [
              {
      %s            "type": "unicast",
                  "bundleName": "com.example.hiworld"
              }
          ]
      }
      """
          .formatted(DETAILS);
  private static final String OF_MY_APP =
      OF_HIWORLD.replace("com.example.hiworld", "com.example.myApp");
  private static final String MAPPING =
      """
       {
        "infos":[
          {
            "details": [
              {
                "detail": [
                  {
                    "source": "com.example.hiworld", // 应用旧系统包名
                    "target": "com.example.helloworld" // 应用新系统包名
                  }
                ],
                "type": "app_mapping_relation"
              }
            ],
            "type":"broadcast"
          }
        ]
       }
      """;
  private static final String BACKED_UP =
      """
      {"bundleInfos": [{"allToBackup": true, "extensionName": "BackupExtensionAbility",
        "name": "com.example.hiworld", "needToInstall": false, "spaceOccupied": 0,
        "versionCode": 1000000, "versionName": "1.0.0"}],
       "deviceType": "default", "systemFullName": "OpenHarmony-4.0.0.0"}
      """;

  @Test
  void theBackupsExample_isTwoElements() throws Exception {
    ShellHook hiworld = hookOf(HIWORLD);
    device.addBundle(MY_APP);
    ShellHook myApp = hookOf(MY_APP);
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      List<String> bundles = List.of(HIWORLD, MY_APP);
      String asPrinted = OF_HIWORLD.stripTrailing() + ",\n" + OF_MY_APP;
      // One element for two bundles, and two objects in one element.
      assertEquals(INVALID, codeOf(() -> session.appendBundles(bundles, List.of(asPrinted))));
      assertEquals(
          INVALID, codeOf(() -> session.appendBundles(bundles, List.of(asPrinted, OF_MY_APP))));
      session.appendBundles(bundles, List.of(OF_HIWORLD, OF_MY_APP)).get();
      assertEquals(0, events.awaitAll().code());
    }
    assertSucceeded(events);
    JsonNode expected = json("[{\"detail\": [{\"key1\": \"value1\", \"key2\": \"value2\"}]}]");
    assertEquals(expected, infoOf(hiworld));
    assertEquals(expected, infoOf(myApp));
  }

  @Test
  void infos_areOfTheBundleAtTheirIndexAlone() throws Exception {
    ShellHook hiworld = hookOf(HIWORLD);
    device.addBundle(MY_APP);
    ShellHook myApp = hookOf(MY_APP);
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      // The second says nothing; what the first says of the second app is not for it.
      session.appendBundles(List.of(HIWORLD, MY_APP), List.of(OF_MY_APP, "{}")).get();
      events.awaitAll();
    }
    assertSucceeded(events);
    assertEquals("", requestOf(hiworld).path("info").asText());
    assertEquals("", requestOf(myApp).path("info").asText());
  }

  @Test
  void theIncrementalSessionTakesTheSameInfos() throws Exception {
    ShellHook hook = hookOf(HIWORLD);
    Events events = new Events();
    List<IncrementalBackupData> bundles = List.of(IncrementalBackupData.builder(HIWORLD).build());
    try (BackupService service = embedded();
        IncrementalBackupSession session = new IncrementalBackupSession(service, events)) {
      assertEquals(INVALID, codeOf(() -> session.appendBundles(bundles, List.of())));
      session.appendBundles(bundles, List.of(OF_HIWORLD)).get();
      events.awaitAll();
    }
    assertSucceeded(events);
    assertEquals("value1", infoOf(hook).at("/0/detail/0/key1").asText());
  }

  @Test
  void theRestoresExample_mapsTheOldNameToTheNewOne() throws Exception {
    device.addBundle(HELLOWORLD);
    Events events = new Events();
    try (BackupService service = embedded();
        Fd capabilities = file("capabilities", BACKED_UP)) {
      Map<String, byte[]> files = backUp(service, List.of(HIWORLD)).files(HIWORLD);
      try (SessionRestore session = restoring(service, events, files)) {
        session.appendBundles(capabilities, List.of(HELLOWORLD), List.of(MAPPING)).get();
        assertEquals(0, events.await(Kind.BEGIN, HELLOWORLD).code());
        publishAll(session, events, HELLOWORLD, files);
        assertEquals(0, events.await(Kind.END, HELLOWORLD).code());
      }
    }
    assertEquals("first note", Files.readString(device.sandbox(HELLOWORLD).resolve("note.txt")));
  }

  @Test
  void theRestoresExample_asItIsPrintedRestoresTheOldName() throws Exception {
    Events events = new Events();
    try (BackupService service = embedded();
        Fd capabilities = file("capabilities", BACKED_UP)) {
      Map<String, byte[]> files = backUp(service, List.of(HIWORLD)).files(HIWORLD);
      try (SessionRestore session = restoring(service, events, files)) {
        session.appendBundles(capabilities, List.of(HIWORLD), List.of(MAPPING)).get();
        publishAll(session, events, HIWORLD, files);
        assertEquals(0, events.await(Kind.END, HIWORLD).code());
      }
    }
  }

  @Test
  void aMegabyteOfInfos_reachesTheApp() throws Exception {
    String text = "x".repeat(1 << 20);
    ShellHook hook = hookOf(HIWORLD);
    Events events = new Events();
    try (BackupService service = embedded();
        SessionBackup session = new SessionBackup(service, events)) {
      String infos =
          "{\"infos\":[{\"type\":\"unicast\",\"bundleName\":\""
              + HIWORLD
              + "\",\"details\":[{\"type\":\""
              + text
              + "\"}]}]}";
      session.appendBundles(List.of(HIWORLD), List.of(infos)).get();
      events.awaitAll();
    }
    assertSucceeded(events);
    assertEquals(text, infoOf(hook).at("/0/type").asText());
  }

  private ShellHook hookOf(String bundle) throws IOException {
    return ShellHook.add(device, bundle, Map.of("onBackupEx", ShellHook.result("")));
  }

  private static JsonNode requestOf(ShellHook hook) throws IOException {
    return json(hook.requests().get(0));
  }

  private static JsonNode infoOf(ShellHook hook) throws IOException {
    return json(requestOf(hook).path("info").asText());
  }

  private static void assertSucceeded(Events events) {
    for (Note note : events.notes()) {
      assertEquals(0, note.code(), note.toString());
    }
    assertFalse(events.all(Kind.END).isEmpty());
  }
}
