// Databases that are written to while they are backed up. Python's sqlite3 is the writer, and
// SQLite itself the judge. With BACKUPKIT_FAULTS=all 200 backups in each mode.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "native/extension/sqlite_unit.h"
#include "tests/native/backup_run.h"
#include "tests/native/census.h"
#include "tests/native/points.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

// Commits until the file "stop" is there: each transaction adds a row and counts it. Old
// rows go, so that the database stays small however long that takes.
constexpr const char* kWriter = R"(
import os, sqlite3, sys
os.chdir(sys.argv[1])
db = sqlite3.connect('data/db', isolation_level=None, timeout=60)
db.execute('PRAGMA journal_mode=' + sys.argv[2])
db.execute('PRAGMA wal_autocheckpoint=20')
db.execute('PRAGMA cache_size=5')
db.execute('CREATE TABLE counter(n)')
db.execute('CREATE TABLE rows(n PRIMARY KEY, content)')
db.execute('INSERT INTO counter VALUES(0)')
n = 0
while not os.path.exists('stop'):
    n += 1
    db.execute('BEGIN IMMEDIATE')
    db.execute('INSERT INTO rows VALUES(?, randomblob(3000))', (n,))
    if n > 100: db.execute('UPDATE rows SET content = randomblob(2000) WHERE n > ?', (n - 20,))
    db.execute('DELETE FROM rows WHERE n <= ?', (n - 500,))
    db.execute('UPDATE counter SET n = n + 1')
    db.execute('COMMIT')
    if n == 20: print('ready', flush=True)
)";

// Says of each directory how many transactions its database holds, or what is wrong with it.
constexpr const char* kJudge = R"(
import sqlite3, sys
for directory in sys.argv[1:]:
    db = sqlite3.connect(directory + '/db')
    problem = db.execute('PRAGMA integrity_check').fetchone()[0]
    n, = db.execute('SELECT n FROM counter').fetchone()
    rows = list(r[0] for r in db.execute('SELECT n FROM rows ORDER BY n'))
    if rows != list(range(max(1, n - 499), n + 1)): problem = 'torn'
    print(n if problem == 'ok' else problem, flush=True)
)";

using Pipe = std::unique_ptr<FILE, int (*)(FILE*)>;

Pipe python(const std::string& program, const std::string& arguments) {
  const std::string command = "exec python3 -c \"$(cat " + program + ")\" " + arguments;
  return {::popen(command.c_str(), "re"), &::pclose};
}

std::string line_of(const Pipe& pipe) {
  std::array<char, 1000> line{};
  if (std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return "nothing";
  const std::string text(line.data());
  return text.substr(0, text.find('\n'));
}

class Sqlite : public Census {
 protected:
  void SetUp() override {
    if (std::system("python3 -c 'import sqlite3' 2>/dev/null") != 0) {
      GTEST_SKIP() << "needs python3 with sqlite3";
    }
    Census::SetUp();
    fs::create_directory(scratch_ / "data");
    std::ofstream(scratch_ / "writer") << kWriter;
    std::ofstream(scratch_ / "judge") << kJudge;
    plan_.sandbox = scratch_ / "data";
  }
  void TearDown() override {
    on_sqlite_copied(nullptr);
    if (!IsSkipped()) Census::TearDown();
  }

  void restore(const BackupOutcome& outcome, const std::string& name) {
    fs::create_directory(scratch_ / name);
    for (const auto& [path, content] : outcome.contents()) {
      std::ofstream(scratch_ / (name + "/" + path)) << content;
    }
    restored_ += " " + (scratch_ / name);
  }

  // Backs up again and again while a writer commits in that mode, and judges what comes back.
  void back_up_under_a_writer(const std::string& mode, bool is_incremental) {
    const auto writer = python(scratch_ / "writer", scratch_.path() + " " + mode);
    ASSERT_EQ(line_of(writer), "ready");
    const int runs = visits_all() ? 200 : 10;
    for (int run = 0; run < runs; ++run) {
      if (is_incremental) plan_.old_manifest = "";
      const auto outcome = BackupRun::of(plan_);
      EXPECT_FALSE(outcome.error) << outcome.error.value_or(Error{}).message();
      restore(outcome, std::to_string(run));
    }
    std::ofstream(scratch_ / "stop") << "";
    EXPECT_EQ(line_of(writer), "nothing");
    const auto judge = python(scratch_ / "judge", restored_);
    long last = 19;
    for (int run = 0; run < runs; ++run) {
      const auto verdict = line_of(judge);
      const long transactions = std::strtol(verdict.c_str(), nullptr, 10);
      EXPECT_GE(transactions, last) << "run " << run << ": " << verdict;
      last = transactions;
    }
    std::cout << runs << " backups, the last of " << last << " transactions\n";
  }

  ScratchDirectory scratch_;
  BackupPlan plan_;
  std::string restored_;
};

TEST_F(Sqlite, a_small_database_is_whole_in_wal_mode) { back_up_under_a_writer("wal", false); }

TEST_F(Sqlite, a_small_database_is_whole_in_rollback_mode) {
  back_up_under_a_writer("delete", false);
}

TEST_F(Sqlite, a_big_database_is_whole_in_wal_mode) {
  plan_.settings["packingLimit"] = 4096;
  back_up_under_a_writer("wal", false);
}

TEST_F(Sqlite, a_big_database_is_whole_in_rollback_mode) {
  plan_.settings["packingLimit"] = 4096;
  back_up_under_a_writer("truncate", true);
}

// Files that look like a database to a backup.
class SqliteUnitTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    plan_.sandbox = scratch_.path();
    write("db", kDatabase);
    write("db-a", "between");
    write("db-wal", "wal");
    write("e", "behind");
  }
  void TearDown() override {
    on_sqlite_copied(nullptr);
    Census::TearDown();
  }

  void write(const std::string& name, const std::string& content) const {
    std::ofstream(scratch_ / name) << content;
  }

  static uint64_t sum(const BackupOutcome& outcome) {
    return outcome.total("stored") + outcome.total("vanished") + outcome.total("unstable");
  }

  const std::string kDatabase = std::string("SQLite format 3\0", 16) + std::string(1008, 'p');
  ScratchDirectory scratch_;
  BackupPlan plan_;
};

using Contents = std::map<std::string, std::string>;

TEST_F(SqliteUnitTest, what_was_beside_the_database_is_stored_when_it_is_gone_by_then) {
  for (const bool is_last : {false, true}) {
    if (is_last) fs::remove(scratch_ / "e");
    write("db-wal", "wal");
    on_sqlite_copied([&](const std::string&) { fs::remove(scratch_ / "db-wal"); });
    // Nobody holds locks of a WAL's index here: it is taken again, without the WAL.
    auto outcome = BackupRun::of(plan_);
    EXPECT_FALSE(outcome.error);
    EXPECT_FALSE(outcome.contents().contains("db-wal"));
    EXPECT_EQ(sum(outcome), is_last ? 4U : 5U);
    // Once the unit was taken it goes with it, whatever becomes of its names.
    write("db-wal", "wal");
    write("db-shm", std::string(200, 's'));
    outcome = BackupRun::of(plan_);
    EXPECT_FALSE(outcome.error);
    EXPECT_EQ(outcome.contents().at("db-wal"), "wal");
    EXPECT_EQ(outcome.contents().at("db"), kDatabase);
    EXPECT_EQ(outcome.contents().at("db-a"), "between");
    EXPECT_EQ(sum(outcome), is_last ? 5U : 6U);
    fs::remove(scratch_ / "db-shm");
  }
}

TEST_F(SqliteUnitTest, what_came_after_the_database_was_taken_does_not_belong_to_it) {
  write("a", kDatabase);
  write("db-shm", std::string(200, 's'));
  write("db-journal", "is there when the directory is read");
  on_sqlite_copied([&](const std::string& path) {
    if (path == "a") fs::remove(scratch_ / "db-journal");
    if (path == "db") write("db-journal", "of a later transaction");
  });
  const auto outcome = BackupRun::of(plan_);
  EXPECT_FALSE(outcome.error);
  EXPECT_FALSE(outcome.contents().contains("db-journal"));
  EXPECT_EQ(outcome.total("vanished"), 1U);
}

TEST_F(SqliteUnitTest, all_of_a_database_that_never_rests_is_named) {
  int copies = 0;
  on_sqlite_copied([&](const std::string& path) {
    EXPECT_EQ(path, "db");
    write("db", kDatabase + std::string(512 * static_cast<size_t>(++copies), 'p'));
  });
  const auto outcome = BackupRun::of(plan_);
  EXPECT_EQ(copies, kMostReadings);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::kPackFailed);
  EXPECT_EQ(outcome.total("unstable"), 2U);
  EXPECT_EQ(outcome.contents(), (Contents{{"db-a", "between"}, {"e", "behind"}}));
}

TEST_F(SqliteUnitTest, a_database_that_changed_once_is_taken_again_with_all_that_is_beside_it) {
  int copies = 0;
  on_sqlite_copied([&](const std::string&) {
    if (copies++ > 0) return;
    write("db", kDatabase + std::string(512, 'q'));
    write("db-wal", "another");
  });
  const auto outcome = BackupRun::of(plan_);
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.contents().at("db"), kDatabase + std::string(512, 'q'));
  EXPECT_EQ(outcome.contents().at("db-wal"), "another");
}

TEST_F(SqliteUnitTest, rules_leave_out_what_is_beside_a_database) {
  plan_.settings["excludes"] = {"*-wal"};
  const auto outcome = BackupRun::of(plan_);
  EXPECT_FALSE(outcome.error);
  EXPECT_FALSE(outcome.contents().contains("db-wal"));
  EXPECT_EQ(outcome.total("excluded"), 1U);
}

TEST_F(SqliteUnitTest, what_is_no_file_beside_it_is_an_entry_like_any_other) {
  fs::remove(scratch_ / "db-wal");
  fs::create_directory(scratch_ / "db-wal");
  write("db-wal/inside", "inside");
  fs::create_symlink("db", scratch_ / "db-journal");
  const auto outcome = BackupRun::of(plan_);
  EXPECT_FALSE(outcome.error) << outcome.error.value_or(Error{}).message();
  EXPECT_EQ(outcome.total("vanished"), 0U);
  EXPECT_EQ(outcome.total("stored"), 7U);  // with the top
  EXPECT_EQ(
      outcome.contents(),
      (Contents{
          {"db", kDatabase}, {"db-a", "between"}, {"db-wal/inside", "inside"}, {"e", "behind"}}));
}

TEST_F(SqliteUnitTest, without_its_database_nothing_beside_it_is_stored) {
  write("db", kDatabase + std::string(99 * 1024, 'p'));
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit less{50'000, old.rlim_max};  // for the parts, and not for the database's copy
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &less), 0);
  const auto outcome = BackupRun::of(plan_);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  (void)std::signal(SIGXFSZ, before);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.total("unreadable"), 2U) << outcome.error->message();
  EXPECT_EQ(outcome.contents(), (Contents{{"db-a", "between"}, {"e", "behind"}}));
}

TEST_F(SqliteUnitTest, the_second_name_of_a_database_is_a_link) {
  fs::create_hard_link(scratch_ / "db", scratch_ / "second");
  for (const auto* name : {"db", "db-a", "db-wal", "e"}) {
    const timespec times[2] = {{1'700'000'000, 1}, {1'700'000'000, 1}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (scratch_ / name).c_str(), times, 0), 0);
  }
  plan_.old_manifest = "";
  const auto first = BackupRun::of(plan_);
  EXPECT_EQ(first.contents().at("second"), kDatabase);
  EXPECT_EQ(first.total("bytes"), kDatabase.size() + 7 + 3 + 6) << "each content once";
  plan_.old_manifest = first.rows.at("manage.json");
  EXPECT_EQ(BackupRun::of(plan_).uris, std::vector<std::string>{"manage.json"});
}

TEST_F(SqliteUnitTest, only_what_changed_of_it_is_sent_again) {
  for (const auto* name : {"db", "db-a", "db-wal", "e"}) {
    const timespec times[2] = {{1'700'000'000, 1}, {1'700'000'000, 1}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (scratch_ / name).c_str(), times, 0), 0);
  }
  plan_.old_manifest = "";
  const auto first = BackupRun::of(plan_);
  plan_.old_manifest = first.rows.at("manage.json");
  EXPECT_EQ(BackupRun::of(plan_).uris, std::vector<std::string>{"manage.json"});
  write("db-wal", "more in the wal");
  const auto second = BackupRun::of(plan_);
  EXPECT_EQ(second.contents(), (Contents{{"db-wal", "more in the wal"}}));
}

}  // namespace
}  // namespace backupkit
