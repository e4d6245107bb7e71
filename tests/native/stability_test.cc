// Files that change while a backup reads them.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "native/extension/content.h"
#include "tests/native/backup_run.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class Stability : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    plan_.sandbox = scratch_.path();
    plan_.settings["packingLimit"] = 100;
    make("a", "before");
    make("z", "behind");
  }

  void TearDown() override {
    on_second_look(nullptr);
    Census::TearDown();
  }

  [[nodiscard]] fs::path at(const std::string& name) const { return scratch_ / name; }

  // A file that was last written long ago, so that every clock tells a later store.
  void make(const std::string& name, const std::string& content) const {
    write(name, content);
    const timespec times[2] = {{1'700'000'000, 1}, {1'700'000'000, 1}};
    ASSERT_EQ(::utimensat(AT_FDCWD, at(name).c_str(), times, 0), 0);
  }

  void write(const std::string& name, const std::string& content) const {
    std::ofstream(at(name)) << content;
  }

  // Backs up; `change` is called with the number of each second look at "m", just before it.
  BackupOutcome back_up_while(const std::function<void(int)>& change) const {
    int looks = 0;
    on_second_look([&](BorrowedFd file) {
      const auto link = fs::read_symlink("/proc/self/fd/" + std::to_string(file.get()));
      if (link == fs::canonical(scratch_.path()) / "m") change(looks++);
    });
    auto outcome = BackupRun::of(plan_);
    on_second_look(nullptr);
    return outcome;
  }

  // Backs up; `change` is called when the receiver has read the big file for the n-th time.
  BackupOutcome back_up_big_while(const std::function<void(int)>& change) {
    int readings = 0;
    plan_.read = [&](const std::string& uri) {
      if (!uri.starts_with("part.") && uri != "manage.json" && uri.find("_part.") == uri.npos) {
        change(readings++);
      }
    };
    return BackupRun::of(plan_);
  }

  static size_t times_sent(const BackupOutcome& outcome) {
    const std::set<std::string> different(outcome.uris.begin(), outcome.uris.end());
    return outcome.uris.size() - different.size() + 1;
  }

  static std::optional<ManifestRow> row_of(const BackupOutcome& outcome, const std::string& path) {
    const UniqueFd file = file_of(outcome.rows.at("manage.json"));
    auto reader = ManifestReader::open(file.borrow()).value();
    for (auto row = reader->next().value(); row; row = reader->next().value()) {
      if (row->path == path) return row;
    }
    return std::nullopt;
  }

  ScratchDirectory scratch_;
  BackupPlan plan_;
};

using Contents = std::map<std::string, std::string>;
const std::string kBig(1000, 'b');
const std::string kBigger(2000, 'B');

TEST_F(Stability, a_small_file_that_changes_is_packed_as_it_is_afterwards) {
  make("m", "1");
  const auto outcome = back_up_while([&](int look) {
    if (look == 0) write("m", "a longer one");
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.contents(),
            (Contents{{"a", "before"}, {"m", "a longer one"}, {"z", "behind"}}));
  EXPECT_EQ(outcome.total("resent"), 1U);
  EXPECT_EQ(outcome.total("stored"), 4U);
}

TEST_F(Stability, a_small_file_that_shrinks_does_not_move_its_neighbours) {
  make("m", std::string(90, 'm'));
  const auto outcome = back_up_while([&](int look) {
    if (look == 0) fs::resize_file(at("m"), 1);
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.contents(), (Contents{{"a", "before"}, {"m", "m"}, {"z", "behind"}}));
}

TEST_F(Stability, a_small_file_that_never_rests_is_named_and_the_rest_is_there) {
  make("m", "1");
  plan_.old_manifest = "";
  const auto first = BackupRun::of(plan_);
  ASSERT_FALSE(first.error);
  write("m", "12");
  plan_.old_manifest = first.rows.at("manage.json");
  const auto outcome =
      back_up_while([&](int) { std::ofstream(at("m"), std::ios::app) << "and more"; });
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::kPackFailed);
  EXPECT_NE(outcome.error->context.find("m: changed whenever it was read"), std::string::npos);
  EXPECT_EQ(outcome.total("unstable"), 1U);
  EXPECT_EQ(outcome.total("resent"), 2U);
  EXPECT_EQ(outcome.uris, std::vector<std::string>{"manage.json"}) << "a part would be empty";
  ASSERT_TRUE(row_of(outcome, "m"));
  EXPECT_EQ(row_of(outcome, "m")->in, row_of(first, "m")->in) << "the last backup's stays";
}

TEST_F(Stability, a_small_file_that_grows_big_is_passed) {
  make("m", "1");
  const auto outcome = back_up_while([&](int look) {
    if (look == 0) write("m", kBig);
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.contents(), (Contents{{"a", "before"}, {"m", kBig}, {"z", "behind"}}));
  EXPECT_EQ(outcome.total("bytesShared"), kBig.size());
}

TEST_F(Stability, a_file_that_vanishes_while_it_changes_has_vanished) {
  make("m", "1");
  const auto outcome = back_up_while([&](int look) {
    if (look != 0) return;
    write("m", "12");
    fs::remove(at("m"));
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.contents(), (Contents{{"a", "before"}, {"z", "behind"}}));
  EXPECT_EQ(outcome.total("vanished"), 1U);
}

TEST_F(Stability, a_file_that_was_read_whole_before_it_vanished_is_stored) {
  make("m", "1");
  const auto outcome = back_up_while([&](int look) {
    if (look == 0) fs::remove(at("m"));
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.contents().at("m"), "1");
}

TEST_F(Stability, a_file_that_becomes_a_directory_has_vanished) {
  make("m", "1");
  const auto outcome = back_up_while([&](int look) {
    if (look != 0) return;
    write("m", "12");
    fs::remove(at("m"));
    fs::create_directory(at("m"));
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.contents(), (Contents{{"a", "before"}, {"z", "behind"}}));
  EXPECT_EQ(outcome.total("vanished"), 1U);
}

TEST_F(Stability, a_big_file_that_changed_before_it_was_closed_is_sent_again) {
  make("m", kBig);
  const auto outcome = back_up_big_while([&](int reading) {
    if (reading == 0) write("m", kBigger);
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(times_sent(outcome), 2U);
  EXPECT_EQ(outcome.contents().at("m"), kBigger);
  EXPECT_EQ(outcome.total("resent"), 1U);
  EXPECT_EQ(outcome.total("bytesShared"), kBig.size() + kBigger.size());
}

TEST_F(Stability, a_big_file_that_nobody_closes_is_looked_at_before_the_index) {
  make("m", kBig);
  plan_.closes = false;
  const auto outcome = back_up_big_while([&](int reading) {
    if (reading < 2) write("m", kBigger + std::to_string(reading));
  });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(times_sent(outcome), 3U);
  EXPECT_EQ(outcome.contents().at("m"), kBigger + "1");
}

TEST_F(Stability, a_big_file_that_never_rests_leaves_the_index_with_all_its_names) {
  make("m", kBig);
  fs::create_hard_link(at("m"), at("n"));
  const auto outcome =
      back_up_big_while([&](int) { std::ofstream(at("m"), std::ios::app) << "more"; });
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::kPackFailed);
  EXPECT_EQ(times_sent(outcome), 3U);
  EXPECT_EQ(outcome.total("unstable"), 2U);
  EXPECT_EQ(outcome.total("stored"), 3U);
  EXPECT_EQ(outcome.contents(), (Contents{{"a", "before"}, {"z", "behind"}}));
}

TEST_F(Stability, a_big_file_that_is_deleted_behind_the_receiver_is_not_sent_again) {
  make("m", kBig);
  const auto outcome = back_up_big_while([&](int) { fs::remove(at("m")); });
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(times_sent(outcome), 1U);
  EXPECT_EQ(outcome.contents().at("m"), kBig);
}

TEST_F(Stability, the_manifest_has_the_row_of_what_was_sent_last) {
  make("m", kBig);
  fs::create_hard_link(at("m"), at("n"));
  plan_.old_manifest = "";
  const auto first = back_up_big_while([&](int reading) {
    if (reading == 0) write("m", kBigger);
  });
  EXPECT_FALSE(first.error);
  EXPECT_EQ(first.contents().at("m"), kBigger);
  const auto row = row_of(first, "m");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->size, kBigger.size());
  const UniqueFd own = file_of(first.rows.at(row->in));
  EXPECT_EQ(ManifestReader::open(own.borrow()).value()->next().value()->hash, row->hash);
  EXPECT_EQ(row_of(first, "n")->size, kBigger.size());
  plan_.old_manifest = first.rows.at("manage.json");
  plan_.read = nullptr;
  const auto second = BackupRun::of(plan_);
  EXPECT_FALSE(second.error);
  EXPECT_EQ(second.uris, std::vector<std::string>{"manage.json"});
}

TEST_F(Stability, the_row_of_the_last_backup_stays_where_a_big_file_never_rests) {
  make("m", kBig);
  fs::create_hard_link(at("m"), at("n"));
  plan_.old_manifest = "";
  const auto first = BackupRun::of(plan_);
  write("m", kBigger);
  plan_.old_manifest = first.rows.at("manage.json");
  const auto second =
      back_up_big_while([&](int) { std::ofstream(at("m"), std::ios::app) << "more"; });
  ASSERT_TRUE(second.error);
  ASSERT_TRUE(row_of(second, "m"));
  EXPECT_EQ(row_of(second, "m")->in, row_of(first, "m")->in);
  EXPECT_EQ(row_of(second, "m")->hash, row_of(first, "m")->hash);
  EXPECT_FALSE(row_of(second, "n")) << "it was a link to what is not there";
}

}  // namespace
}  // namespace backupkit
