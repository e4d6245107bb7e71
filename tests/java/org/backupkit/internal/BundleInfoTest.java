package org.backupkit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.backupkit.BackupException;
import org.backupkit.ErrorCode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BundleInfoTest {
  // The examples of the API's document, as they stand there.
  private static final String TWO_OBJECTS =
      """
          {
          "infos": [
              {
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
                  "type": "unicast",
                  "bundleName": "com.example.hiworld"
              }
          ]
      },
      {
          "infos": [
              {
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
                  "type": "unicast",
                  "bundleName": "com.example.myApp"
              }
          ]
      }
      """;
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

  @Test
  void theExampleOfTwoObjectsInOneElement_isRefused() {
    assertInvalid(() -> parse(TWO_OBJECTS));
  }

  @Test
  void eachObjectOfThatExample_isForItsOwnBundle() throws BackupException {
    int comma = TWO_OBJECTS.indexOf("},\n{");
    assertTrue(comma > 0);
    BundleInfo first = parse(TWO_OBJECTS.substring(0, comma + 1));
    BundleInfo second = parse(TWO_OBJECTS.substring(comma + 2));
    String details = "[{\"detail\":[{\"key1\":\"value1\",\"key2\":\"value2\"}]}]";
    assertEquals(details, first.appInfo("com.example.hiworld"));
    assertEquals("", first.appInfo("com.example.myApp"));
    assertEquals(details, second.appInfo("com.example.myApp"));
    assertEquals("", second.appInfo("com.example.hiworld"));
    assertEquals("com.example.myApp", second.sourceOf("com.example.myApp"));
  }

  @Test
  void theExampleOfAMapping_givesTheOldNameAndNothingToTheApp() throws BackupException {
    BundleInfo info = parse(MAPPING);
    assertEquals("com.example.hiworld", info.sourceOf("com.example.helloworld"));
    // As that example calls it: by the old name, which is nobody's new name.
    assertEquals("com.example.hiworld", info.sourceOf("com.example.hiworld"));
    assertEquals("", info.appInfo("com.example.helloworld"));
    BundleInfo.Entry entry = info.entries().get(0);
    assertSame(BundleInfo.Type.BROADCAST, entry.type());
    assertNull(entry.bundleName());
    assertEquals("app_mapping_relation", entry.details().get(0).type());
    assertEquals(
        List.of(new BundleInfo.Mapping("com.example.hiworld", "com.example.helloworld")),
        entry.details().get(0).mappings());
  }

  @Test
  void appInfo_joinsTheDetailsOfAllEntriesForTheBundle() throws BackupException {
    BundleInfo info =
        parse(
            """
            {"infos": [
              {"type": "unicast", "bundleName": "a", "details": [{"type": "x", "detail": "1"}, {}]},
              {"type": "unicast", "bundleName": "b", "details": [{"b": 1}]},
              {"type": "broadcast", "bundleName": "a", "details": [{"broadcast": 1}]},
              {"type": "unicast", "details": [{"all": [null, 1.10, 1E400, "ä\\n"]}]},
              {"type": "unicast", "bundleName": null, "details": []},
              {"type": "unicast", "bundleName": "a", "details": [{"b": 1}]}
            ]}
            """);
    String all = "{\"all\":[null,1.10,1E+400,\"ä\\n\"]}";
    assertEquals("[{\"type\":\"x\",\"detail\":\"1\"},{}," + all + ",{\"b\":1}]", info.appInfo("a"));
    assertEquals("[{\"b\":1}," + all + "]", info.appInfo("b"));
    assertEquals("[" + all + "]", info.appInfo("c"));
  }

  @Test
  void appInfo_isEmptyWithoutAnEntryAndAnEmptyArrayWithoutADetail() throws BackupException {
    assertEquals("", BundleInfo.NONE.appInfo("a"));
    assertEquals("", parse("{\"infos\":[]}").appInfo("a"));
    assertEquals("[]", parse("{\"infos\":[{\"type\":\"unicast\",\"details\":[]}]}").appInfo("a"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"infos\":null}",
        "{\"infos\":{\"type\":\"unicast\",\"details\":[{}]}}",
        "{\"infos\":\"x\"}",
        "{\"infos\":[null,1,\"x\",[],{}]}",
        "{\"infos\":[{\"type\":\"unicast\"}]}",
        "{\"infos\":[{\"type\":\"unicast\",\"details\":{}}]}",
        "{\"infos\":[{\"type\":\"UNICAST\",\"details\":[]}]}",
        "{\"infos\":[{\"type\":[\"unicast\"],\"details\":[]}]}",
        "{\"infos\":[{\"details\":[]}]}",
        "{\"infos\":[{\"type\":\"unicast\",\"bundleName\":7,\"details\":[]}]}"
      })
  void whatIsMalformed_isPassedOver(String text) throws BackupException {
    assertEquals(BundleInfo.NONE, parse(text));
  }

  @Test
  void malformedDetails_leaveTheirNeighboursAlone() throws BackupException {
    BundleInfo info =
        parse(
            """
            {"infos": [7, {"type": "unicast", "details": [null, [], "x", {"ok": true}, 7]}],
             "unknown": {"deep": [1]}}
            """);
    assertEquals("[{\"ok\":true}]", info.appInfo("a"));
  }

  @Test
  void ofTwoEqualKeys_theLastCounts() throws BackupException {
    BundleInfo info = parse("{\"delayTime\":1,\"infos\":7,\"delayTime\":2,\"infos\":[]}");
    assertEquals("{\"delayTime\":2}", info.options(""));
  }

  @Test
  void sourceOf_takesTheFirstPairOfItsTargetFromAnyEntry() throws BackupException {
    BundleInfo info =
        parse(
            """
            {"infos": [
              {"type": "unicast", "bundleName": "other", "details": [
                {"type": "userId", "detail": "100"},
                {"type": "app_mapping_relation", "detail": "x"},
                {"type": "app_mapping_relation", "detail": [
                  null, {"source": "a"}, {"source": 1, "target": "b"}, {"source": "a", "target": "b"},
                  {"source": "z", "target": "b"}, {"source": "../x", "target": "c"}]}]},
              {"type": "broadcast", "details": [
                {"type": "app_mapping_relation", "detail": [{"source": "d:1", "target": "e:1"}]},
                {"type": "no_mapping", "detail": [{"source": "f", "target": "g"}]}]}
            ]}
            """);
    assertEquals("a", info.sourceOf("b"));
    assertEquals("a", info.sourceOf("a"));
    assertEquals("d:1", info.sourceOf("e:1"));
    assertEquals("g", info.sourceOf("g"));
    assertInvalid(() -> info.sourceOf("c"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "restoreMode|'mirror'|'mirror'",
        "restoreMode|'merge'|'merge'",
        "restoreMode|'Mirror'|",
        "restoreMode|true|",
        "resume|true|true",
        "resume|false|false",
        "resume|'true'|",
        "integrity|'none'|'none'",
        "integrity|false|'none'",
        "integrity|true|'full'",
        "integrity|0|",
        "backupScene|''|''",
        "backupScene|'night'|'night'",
        "backupScene|7|'7'",
        "backupScene|['x']|",
        "clearBackupData|'true'|true",
        "clearBackupData|'false'|false",
        "clearBackupData|'yes'|false",
        "clearBackupData|true|true",
        "clearBackupData|false|false",
        "clearBackupData|1|",
        "clearBackupData|{}|",
        "delayTime|20|20",
        "delayTime|'20'|20",
        "delayTime|1.5|1",
        "delayTime|0|0",
        "delayTime|1801|1800",
        "delayTime|1e999999999|1800",
        "delayTime|99999999999999999999999|1800",
        "delayTime|'999999999'|1800",
        "delayTime|-1|",
        "delayTime|'-1'|",
        "delayTime|'1s'|",
        "delayTime|true|",
        "isSupportWithoutTar|true|true",
        "isSupportWithoutTar|'true'|",
        "unknown|'x'|",
        "delayTime|null|"
      })
  void ownKeys_areTakenAsFarAsTheyMeanSomething(String key, String value, String meaning)
      throws BackupException {
    String text = "{\"" + key + "\":" + value.replace('\'', '"') + "}";
    String options =
        meaning == null ? "{}" : "{\"" + key + "\":" + meaning.replace('\'', '"') + "}";
    assertEquals(options, parse(text).options(""));
    assertEquals(options, BundleInfo.NONE.options(text));
  }

  @Test
  void infosWinOverParametersKeyByKey() throws BackupException {
    BundleInfo info = parse("{\"infos\":7,\"delayTime\":5,\"integrity\":\"?\"}");
    assertEquals(
        "{\"delayTime\":5,\"integrity\":\"none\",\"restoreMode\":\"mirror\"}",
        info.options(
            "{\"delayTime\":9,/**/\"integrity\":\"none\",\"restoreMode\":\"mirror\",\"x\":1}"));
    assertEquals(Map.of("delayTime", 5), info.ownKeys());
    assertInvalid(() -> info.options("[]"));
    assertInvalid(() -> info.options("{"));
  }

  @Test
  void aModel_cannotBeChanged() throws BackupException {
    BundleInfo info = parse("{\"delayTime\":5}");
    assertThrows(UnsupportedOperationException.class, () -> info.ownKeys().clear());
    assertThrows(UnsupportedOperationException.class, () -> info.entries().add(null));
  }

  @Test
  void aMebibyteOfInfos_isHandedOnWhole() throws BackupException {
    String detail = "{\"text\":\"" + "ä".repeat(1 << 10) + "\",\"n\":[1,2,3]},";
    String details = detail.repeat((1 << 20) / detail.length()) + "{}";
    BundleInfo info = parse("{\"infos\":[{\"details\":[" + details + "],\"type\":\"unicast\"}]}");
    assertEquals("[" + details + "]", info.appInfo("a"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"[", "{\"a\":", "[{\"a\":"})
  void nesting_hasALimit(String opening) {
    for (int depth : new int[] {100, 10_000, 500_000}) {
      String bomb = "{\"infos\":" + opening.repeat(depth);
      assertInvalid(() -> parse(bomb));
      assertInvalid(() -> BundleInfo.NONE.options(bomb));
    }
  }

  @Test
  void nesting_isAllowedUpToTheLimit() throws BackupException {
    String deep = "[".repeat(95) + "]".repeat(95);
    BundleInfo info =
        parse("{\"infos\":[{\"type\":\"unicast\",\"details\":[{\"d\":" + deep + "}]}]}");
    assertEquals("[{\"d\":" + deep + "}]", info.appInfo("a"));
    String closed = "[".repeat(99) + "]".repeat(99);
    assertEquals(BundleInfo.NONE, parse("{\"d\":" + closed + "}"));
    assertInvalid(() -> parse("{\"d\":[" + closed + "]}"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "null",
        "7",
        "[]",
        "\"x\"",
        "{",
        "{}{}",
        "{},{}",
        "{'a':1}",
        "{\"a\":1,}"
      })
  void whatIsNotOneObject_isRefused(String text) {
    assertInvalid(() -> parse(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"1e99999999999", "1e-99999999999", "1e-2147483648"})
  void aNumberThatNothingHolds_isRefused(String number) {
    assertInvalid(() -> parse("{\"delayTime\":" + number + "}"));
    assertInvalid(() -> BundleInfo.NONE.options("{\"x\":" + number + "}"));
  }

  @Test
  void aNull_isRefused() {
    assertInvalid(() -> parse(null));
  }

  @Test
  void anyTruncation_isRefusedAndNoFlippedCharacterBreaksTheParser() throws BackupException {
    String text = MAPPING.strip();
    for (int i = 0; i < text.length(); i++) {
      String cut = text.substring(0, i);
      assertInvalid(() -> parse(cut));
    }
    for (int i = 0; i < text.length(); i++) {
      String flipped = text.substring(0, i) + (char) (text.charAt(i) ^ 1) + text.substring(i + 1);
      try {
        assertTrue(parse(flipped).entries().size() <= 1);
      } catch (BackupException e) {
        assertSame(ErrorCode.INVALID_ARGUMENT, e.error());
      }
    }
  }

  private static BundleInfo parse(String text) throws BackupException {
    return BundleInfo.parse(text, "infos[0]");
  }

  private static void assertInvalid(Executable call) {
    assertSame(ErrorCode.INVALID_ARGUMENT, assertThrows(BackupException.class, call).error());
  }
}
