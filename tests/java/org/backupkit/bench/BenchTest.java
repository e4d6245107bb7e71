package org.backupkit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.backupkit.Tool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** That the bench reckons rightly and runs; how fast anything is, no test says. */
@Timeout(60)
class BenchTest {
  private final StringWriter output = new StringWriter();
  private final StringWriter errors = new StringWriter();

  @TempDir Path target;

  @Test
  void median_isTheMiddleOfWhatIsSorted() {
    assertEquals(2, Figures.median(List.of(9.0, 1.0, 2.0)));
    assertEquals(2.5, Figures.median(List.of(9.0, 1.0, 2.0, 3.0)));
    assertEquals(7, Figures.median(List.of(7.0)));
  }

  @Test
  void aNumber_hasThreeDigitsThatTellSomething() {
    assertEquals("15", Figures.number(15));
    assertEquals("1.23", Figures.number(1.2345));
    assertEquals("0.002", Figures.number(0.00234));
    assertEquals("100000", Figures.number(100_000));
    assertEquals("-0.071", Figures.number(-0.0706));
  }

  @Test
  void aRatio_isThatOfTheMedians_andReachedUpToTheTarget() {
    assertEquals(0.5, figures(BenchCase.BACKUP_SMALL, 2).ratio());
    assertTrue(figures(BenchCase.BACKUP_SMALL, 2.6).isReached());
    assertFalse(figures(BenchCase.BACKUP_SMALL, 2.7).isReached());
  }

  @Test
  void aTargetInSeconds_looksAtOurMedianAlone() {
    assertTrue(figures(BenchCase.START, 0.35).isReached());
    assertFalse(figures(BenchCase.START, 0.36).isReached());
  }

  @Test
  void json_hasEveryRunAndWhatTheyCameTo() {
    JsonNode json = figures(BenchCase.BACKUP_SMALL, 2).json();
    assertEquals("backup-small", json.path("case").asText());
    assertEquals("tar cf, sync -f", json.path("row").asText());
    assertEquals("s", json.path("unit").asText());
    assertEquals("[2.0,1.0,30.0]", json.path("ours").path("runs").toString());
    assertEquals(2, json.path("ours").path("median").asDouble());
    assertEquals(3, json.path("peer").path("min").asDouble());
    assertEquals(5, json.path("peer").path("max").asDouble());
    assertEquals(0.5, json.path("ratio").asDouble());
    assertEquals("<= 0.65", json.path("target").asText());
    assertTrue(json.path("reached").asBoolean());
  }

  @Test
  void anUnknownCase_isRefusedWithTheKnownOnes() {
    assertEquals(2, run("backup-smal"));
    for (BenchCase known : BenchCase.values()) {
      assertTrue(errors.toString().contains(known.toString()), errors.toString());
    }
    assertEquals(1, errors.toString().lines().count(), errors.toString());
    assertEquals("", output.toString());
  }

  @Test
  void whatIsNotMeasured_saysWhy_andNoTarget() {
    Row row = Row.beside("borg").ratio(0.5);
    Figures figures = new Figures(BenchCase.START, row, List.of(1.0), List.of());
    assertTrue(figures.line().endsWith("borg (not installed)"), figures.line());
    assertEquals("not installed", figures.json().path("missing").asText());
    assertFalse(figures.json().has("reached"));
  }

  @Test
  void help_hasALineForEachCase() {
    assertEquals(0, run("--help"));
    for (BenchCase known : BenchCase.values()) {
      assertTrue(
          output.toString().lines().anyMatch(line -> line.startsWith("  " + known + " ")),
          output.toString());
    }
  }

  /** But for what is slow however small the tree is, and for the launcher, which may build. */
  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"BACKUP_BIG", "NOHASH_BIG", "START"})
  void everyCase_measuresOnATinyTree_andNothingButTheJsonStays(BenchCase what) throws IOException {
    Tool.need("rsync", "bsdtar");
    assertEquals(0, run("--pairs=1", "--files=60", what.toString()), errors.toString());
    JsonNode json = new ObjectMapper().readTree(target.resolve("bench.json").toFile());
    assertEquals(1, json.path("pairs").asInt());
    assertTrue(json.path("machine").path("kernel").asText().contains("."));
    assertEquals(what.rows().size(), json.path("cases").size());
    for (JsonNode row : json.path("cases")) {
      assertEquals(what.toString(), row.path("case").asText());
      assertTrue(row.has("missing") || row.path("ours").path("runs").size() == 1, row.toString());
    }
    try (Stream<Path> left = Files.list(target)) {
      assertEquals(List.of(target.resolve("bench.json")), left.toList());
    }
  }

  @Test
  void aLastWord_meansAllCasesThatHaveIt() throws IOException {
    assertEquals(0, run("--pairs=2", "--files=60", "deep"), errors.toString());
    JsonNode json = new ObjectMapper().readTree(target.resolve("bench.json").toFile());
    assertEquals(List.of("backup-deep", "restore-deep"), json.findValuesAsText("case"));
    assertEquals(2, json.path("cases").path(1).path("peer").path("runs").size());
  }

  private int run(String... arguments) {
    return Bench.run(
        target, new PrintWriter(output, true), new PrintWriter(errors, true), arguments);
  }

  /** The peer's median is 4. */
  private static Figures figures(BenchCase what, double ours) {
    return new Figures(
        what, what.rows().get(0), List.of(ours, ours / 2, ours * 15), List.of(5.0, 3.0, 4.0));
  }
}
