// What an incremental backup sends of a sandbox, and what its manifest says instead.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "native/base/hash.h"
#include "native/extension/backup.h"
#include "tests/native/backup_run.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

using Names = std::set<std::string>;

// The manifest as it was before there were the last columns, `cut` in number, and with that head.
std::string without_columns(const std::string& manifest, size_t cut, std::string_view head) {
  std::string text(head);
  size_t rows = 0;
  for (size_t at = kManifestHead.size(); !manifest.substr(at).starts_with("end;"); ++rows) {
    const size_t end = manifest.find('\n', at);
    std::string line = manifest.substr(at, end - at);
    for (size_t i = 0; i < cut; ++i) line.resize(line.rfind(';'));
    text += line + "\n";
    at = end + 1;
  }
  Hasher hasher;
  hasher.update({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  return text + "end;" + std::to_string(rows) + ";" + hasher.finish().substr(5) + "\n";
}

std::string of_16_columns(const std::string& manifest) {
  return without_columns(manifest, 2, kManifestHead16);
}

// The manifest with another line in the place of one, and the end that it then has.
std::string with_line(const std::string& manifest, const std::string& line,
                      const std::string& other) {
  const size_t at = manifest.find("\n" + line) + 1;
  EXPECT_NE(at, 0U);
  std::string text = manifest.substr(0, at) + other + manifest.substr(manifest.find('\n', at));
  const size_t end = text.rfind("end;");
  const size_t count = text.rfind(';') - end;
  Hasher hasher;
  hasher.update({reinterpret_cast<const uint8_t*>(text.data()), end});
  return text.substr(0, end + count) + ";" + hasher.finish().substr(5) + "\n";
}

class Incremental : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    plan_.sandbox = dir_.string();
    plan_.old_manifest = "";
    plan_.settings["packingLimit"] = 1000;
    for (const std::string path : {"d/file", "d/plain", "big"}) {
      fs::create_directories((dir_ / path).parent_path());
      std::ofstream(dir_ / path) << std::string(path == "big" ? 5000 : 10, 'x');
    }
    for (const std::string& path : with_attributes_) set(path, "user.one", "1");
  }

  void set(const std::string& path, const char* name, const std::string& value) const {
    ASSERT_EQ(::lsetxattr((dir_ / path).c_str(), name, value.data(), value.size(), 0), 0) << path;
  }
  void remove(const std::string& path, const char* name) const {
    ASSERT_EQ(::lremovexattr((dir_ / path).c_str(), name), 0) << path;
  }
  void set_mode(const std::string& path, mode_t mode) const {
    ASSERT_EQ(::chmod((dir_ / path).c_str(), mode), 0) << path;
  }

  // What was written until now is older than the clock's grain afterwards.
  static void let_the_clock_tick() {
    const auto until = std::chrono::system_clock::now() + std::chrono::milliseconds(11);
    while (std::chrono::system_clock::now() < until) std::this_thread::yield();
  }

  // Runs, on top of the last run, and gives the paths of what was sent.
  Names back_up() {
    outcome_ = BackupRun::of(plan_);
    manifest_ = outcome_.rows.at("manage.json");
    plan_.old_manifest = manifest_;
    Names sent;
    for (const auto& [path, row] : rows()) {
      if (row.is_incremental) sent.insert(path);
    }
    EXPECT_EQ(sent.empty(), outcome_.uris.size() == 1) << "manage.json alone";
    return sent;
  }

  std::map<std::string, ManifestRow> rows() const {
    std::map<std::string, ManifestRow> rows;
    const UniqueFd file = file_of(manifest_);
    auto reader = ManifestReader::open(file.borrow()).value();
    for (auto row = reader->next().value(); row; row = reader->next().value()) {
      rows[row->path] = *row;
    }
    return rows;
  }

  // Of five blocks the file has data in the first and the last, and zeros that were written or
  // holes in the others.
  void make_sparse(const std::string& path, bool has_holes) const {
    std::ofstream file(dir_ / path);
    file << std::string(kBlock, 'x');
    if (!has_holes) file << std::string(3 * kBlock, '\0');
    file.seekp(4 * kBlock);
    file << std::string(kBlock, 'x');
  }

  // Makes a hole of the three blocks, or data, and leaves the time of change to the content.
  void set_hole(const std::string& path, bool is_hole) const {
    const fs::path file = dir_ / path;
    const auto time = fs::last_write_time(file);
    const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    const std::string zeros(3 * kBlock, '\0');
    if (is_hole) {
      constexpr int kHow = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      ASSERT_EQ(::fallocate(fd.get(), kHow, kBlock, 3 * kBlock), 0);
    } else {
      ASSERT_EQ(::pwrite(fd.get(), zeros.data(), zeros.size(), kBlock), 3 * kBlock);
    }
    fs::last_write_time(file, time);
  }

  static constexpr int64_t kBlock = 4096;
  const std::vector<std::string> with_attributes_{"d", "d/file", "big"};
  ScratchDirectory scratch_{"/tmp"};
  fs::path dir_ = scratch_.path();
  BackupPlan plan_;
  BackupOutcome outcome_;
  std::string manifest_;
};

TEST_F(Incremental, a_row_says_the_attributes_that_were_stored) {
  back_up();
  const std::string digest = digest_of({{"user.one", "1"}});
  EXPECT_EQ(rows().at("d").xattrs, digest);
  EXPECT_EQ(rows().at("d/file").xattrs, digest);
  EXPECT_EQ(rows().at("big").xattrs, digest);
  EXPECT_EQ(rows().at("d/plain").xattrs, "");
  EXPECT_EQ(back_up(), Names());
  EXPECT_EQ(rows().at("d/file").xattrs, digest) << "it stays in a row that was kept";
  EXPECT_EQ(rows().at("big").xattrs, digest);
}

TEST_F(Incremental, of_many_that_are_read_ahead_each_row_says_its_own_attributes) {
  for (int i = 0; i < 200; ++i) {
    const std::string path = "d/" + std::to_string(i);
    std::ofstream(dir_ / path) << i;
    set(path, "user.number", std::to_string(i));
  }
  back_up();
  const auto all = rows();
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(all.at("d/" + std::to_string(i)).xattrs,
              digest_of({{"user.number", std::to_string(i)}}));
  }
}

TEST_F(Incremental, the_last_attribute_that_went_is_a_change) {
  back_up();
  for (const std::string& path : with_attributes_) remove(path, "user.one");
  EXPECT_EQ(back_up(), (Names{"d", "d/file", "big"}));
  for (const std::string& path : with_attributes_) EXPECT_EQ(rows().at(path).xattrs, "") << path;
  EXPECT_EQ(back_up(), Names());
}

TEST_F(Incremental, the_first_another_and_one_more_attribute_are_changes) {
  back_up();
  set("d/plain", "user.first", "");
  set("d/file", "user.one", "2");
  set("d", "user.two", "");
  set("big", "user.one", "2");
  EXPECT_EQ(back_up(), (Names{"d", "d/file", "d/plain", "big"}));
  EXPECT_EQ(back_up(), Names());
}

TEST_F(Incremental, metadata_of_what_has_the_same_attributes_are_in_its_row_alone) {
  back_up();
  for (const std::string& path : with_attributes_) set_mode(path, 0700);
  EXPECT_EQ(back_up(), Names());
  for (const std::string& path : with_attributes_) {
    EXPECT_EQ(rows().at(path).mode & 07777U, 0700U) << path;
    set(path, "user.two", "2");
    remove(path, "user.two");  // as it was, but for the time of change
  }
  EXPECT_EQ(back_up(), Names());
  if (::geteuid() == 0) {
    for (const std::string& path : with_attributes_) {
      ASSERT_EQ(::lchown((dir_ / path).c_str(), kNobody, kNobody), 0);
    }
    EXPECT_EQ(back_up(), Names());
    EXPECT_EQ(rows().at("d/file").uid, kNobody);
  }
}

TEST_F(Incremental, an_attribute_and_metadata_at_once_are_a_change) {
  back_up();
  for (const std::string& path : with_attributes_) {
    set_mode(path, 0700);
    set(path, "user.one", "2");
  }
  EXPECT_EQ(back_up(), (Names{"d", "d/file", "big"}));
}

TEST_F(Incremental, against_16_columns_what_has_changed_at_all_is_sent) {
  let_the_clock_tick();
  back_up();
  plan_.old_manifest = of_16_columns(manifest_);
  EXPECT_EQ(back_up(), Names()) << "a time of change is proof of all";
  EXPECT_EQ(rows().at("d/file").xattrs, std::nullopt) << "nobody has looked";
  remove("d/file", "user.one");
  set_mode("d/plain", 0700);
  plan_.old_manifest = of_16_columns(manifest_);
  EXPECT_EQ(back_up(), (Names{"d/file", "d/plain"}));
  EXPECT_EQ(rows().at("d/file").xattrs, "");
  EXPECT_EQ(rows().at("big").xattrs, std::nullopt);
  remove("big", "user.one");
  EXPECT_EQ(back_up(), Names{"big"}) << "of a row that was kept from 16 columns, too";
}

TEST_F(Incremental, of_what_cannot_be_read_the_attributes_are_what_they_were_known_to_be) {
  if (::geteuid() != 0) GTEST_SKIP() << "nobody's files need root";
  plan_.as_nobody = true;
  for (const auto& entry : fs::recursive_directory_iterator(dir_)) {
    ASSERT_EQ(::lchown(entry.path().c_str(), kNobody, kNobody), 0);
  }
  ASSERT_EQ(::lchown(dir_.c_str(), kNobody, kNobody), 0);
  back_up();
  plan_.old_manifest = of_16_columns(manifest_);
  set_mode("d/file", 0);
  set_mode("big", 0);
  (void)back_up();
  EXPECT_EQ(outcome_.total("unreadable"), 2U);
  EXPECT_EQ(rows().at("d/file").xattrs, std::nullopt);
  for (const std::string path : {"d/file", "big"}) {
    remove(path, "user.one");
    set_mode(path, 0644);
  }
  EXPECT_EQ(back_up(), (Names{"d/file", "big"}));
}

TEST_F(Incremental, a_label_counts_where_it_is_kept) {
  const std::string file = dir_ / "d/file";
  const auto label = [&](const std::string& text) {
    return ::lsetxattr(file.c_str(), "security.selinux", text.data(), text.size(), 0) == 0;
  };
  if (!label("one")) GTEST_SKIP() << "labels need root: " << errno;
  back_up();
  ASSERT_TRUE(label("two"));
  EXPECT_EQ(back_up(), Names{"d/file"});
  plan_.settings["labels"] = "none";
  plan_.old_manifest = "";
  back_up();
  ASSERT_TRUE(label("three"));
  EXPECT_EQ(back_up(), Names());
}

TEST_F(Incremental, a_change_of_holes_alone_is_a_change) {
  plan_.settings["packingLimit"] = 6 * kBlock;
  for (const bool is_big : {false, true}) {
    const std::string name = is_big ? "big-" : "small-";
    make_sparse(name + "dug", false);
    make_sparse(name + "filled", true);
    if (is_big) plan_.settings["packingLimit"] = 1000;
    plan_.old_manifest = "";
    back_up();
    set_hole(name + "dug", true);
    set_hole(name + "filled", false);
    EXPECT_EQ(back_up(), (Names{name + "dug", name + "filled"}));
    EXPECT_EQ(rows().at(name + "dug").holes, digest_of(std::vector<Extent>{{kBlock, 3 * kBlock}}));
    EXPECT_EQ(rows().at(name + "filled").holes, "");
    EXPECT_EQ(back_up(), Names());
  }
}

TEST_F(Incremental, metadata_of_what_has_the_same_holes_are_in_its_row_alone) {
  make_sparse("holes", true);
  make_sparse("zeros", false);
  back_up();
  const auto holes = rows().at("holes").holes;
  EXPECT_NE(holes, "");
  for (const std::string path : {"holes", "zeros"}) set_mode(path, 0700);
  EXPECT_EQ(back_up(), Names());
  EXPECT_EQ(rows().at("holes").holes, holes) << "it stays in a row that was kept";
  set_hole("holes", true);  // as it was, but for the time of change
  fs::rename(dir_ / "holes", dir_ / "moved");
  EXPECT_EQ(back_up(), Names());
}

TEST_F(Incremental, against_17_columns_a_file_that_has_changed_at_all_is_sent) {
  let_the_clock_tick();
  back_up();
  const auto of_17_columns = [&] { return without_columns(manifest_, 1, kManifestHead17); };
  plan_.old_manifest = of_17_columns();
  EXPECT_EQ(back_up(), Names()) << "a time of change is proof of all";
  EXPECT_EQ(rows().at("d/file").holes, std::nullopt) << "nobody has looked";
  EXPECT_EQ(rows().at("d").xattrs, digest_of({{"user.one", "1"}}));
  set_mode("d", 0700);
  set_mode("d/plain", 0700);
  plan_.old_manifest = of_17_columns();
  EXPECT_EQ(back_up(), Names{"d/plain"});
  EXPECT_EQ(rows().at("d/plain").holes, "");
  set_mode("big", 0700);
  EXPECT_EQ(back_up(), Names{"big"}) << "of a row that was kept from 17 columns, too";
}

TEST_F(Incremental, from_a_row_on_that_is_none_everything_is_sent) {
  back_up();
  let_the_clock_tick();
  back_up();
  plan_.old_manifest = with_line(manifest_, "d/file;", "d/file;no row");
  EXPECT_EQ(back_up(), (Names{"d/file", "d/plain"}));
  const auto why = outcome_.totals.at("whyFull").get<std::string>();
  EXPECT_NE(why.find("used in part"), std::string::npos) << why;
  EXPECT_NE(why.find("columns"), std::string::npos) << why;
  EXPECT_EQ(back_up(), Names());
}

TEST_F(Incremental, a_big_file_that_was_moved_carries_no_content) {
  back_up();
  const auto before = rows().at("big");
  fs::create_directory(dir_ / "a");
  fs::rename(dir_ / "big", dir_ / "a/moved");
  set_mode("a/moved", 0700);
  fs::rename(dir_ / "d/file", dir_ / "d/small");
  EXPECT_EQ(back_up(), (Names{"a", "d/small"}));
  EXPECT_EQ(rows().at("a/moved").in, before.in);
  EXPECT_EQ(rows().at("a/moved").xattrs, before.xattrs);
  EXPECT_EQ(rows().at("a/moved").mode & 07777U, 0700U);
  EXPECT_EQ(back_up(), Names());
  std::ofstream(dir_ / "big") << std::string(6000, 'y');  // its old path is another one's
  fs::rename(dir_ / "a/moved", dir_ / "z");
  EXPECT_EQ(back_up(), Names{"big"});
  EXPECT_EQ(rows().at("z").in, before.in);
}

TEST_F(Incremental, a_moved_big_file_that_is_another_one_too_is_sent) {
  back_up();
  fs::rename(dir_ / "big", dir_ / "moved");
  const auto time = fs::last_write_time(dir_ / "moved");
  std::fstream(dir_ / "moved") << "y";
  fs::last_write_time(dir_ / "moved", time);
  EXPECT_EQ(back_up(), Names{"moved"});
  fs::rename(dir_ / "moved", dir_ / "again");
  remove("again", "user.one");
  EXPECT_EQ(back_up(), Names{"again"});
  fs::rename(dir_ / "again", dir_ / "longer");
  std::ofstream(dir_ / "longer", std::ios::app) << "z";
  EXPECT_EQ(back_up(), Names{"longer"});
  fs::copy_file(dir_ / "longer", dir_ / "other");
  EXPECT_EQ(back_up(), Names{"other"}) << "a copy is another inode";
}

TEST_F(Incremental, big_files_that_change_places_are_known_again) {
  std::ofstream(dir_ / "other") << std::string(5000, 'y');
  back_up();
  const auto before = rows();
  fs::rename(dir_ / "big", dir_ / "tmp");
  fs::rename(dir_ / "other", dir_ / "big");
  fs::rename(dir_ / "tmp", dir_ / "other");
  EXPECT_EQ(back_up(), Names());
  EXPECT_EQ(rows().at("big").in, before.at("other").in);
  EXPECT_EQ(rows().at("other").in, before.at("big").in);
}

TEST_F(Incremental, another_name_of_a_big_file_is_the_first_when_that_has_gone) {
  fs::create_hard_link(dir_ / "big", dir_ / "z");
  back_up();
  const auto before = rows();
  EXPECT_EQ(before.at("z").type, EntryType::kHardLink);
  fs::remove(dir_ / "big");
  EXPECT_EQ(back_up(), Names());
  EXPECT_EQ(rows().at("z").type, EntryType::kFile);
  EXPECT_EQ(rows().at("z").in, before.at("big").in);
  fs::create_hard_link(dir_ / "z", dir_ / "a");
  EXPECT_EQ(back_up(), Names{"z"}) << "as a link in a part";
  EXPECT_EQ(rows().at("a").in, before.at("big").in);
}

TEST_F(Incremental, without_a_hash_a_moved_big_file_is_sent) {
  plan_.settings["options"]["integrity"] = "none";
  back_up();
  EXPECT_EQ(rows().at("big").hash, "");
  fs::rename(dir_ / "big", dir_ / "moved");
  EXPECT_EQ(back_up(), Names{"moved"});
}

}  // namespace
}  // namespace backupkit
