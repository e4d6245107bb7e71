// What a restore makes of an archive in which a path comes more than once: the last one counts.
#include "native/extension/stage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "native/archive/tar_reader.h"
#include "native/archive/tar_writer.h"
#include "native/io/tmpfile.h"
#include "tests/native/census.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFirst = "d/first";  // what the hard links lead to

class StageTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    fs::create_directory(scratch_ / "sandbox");
    fs::create_directory(scratch_ / "stage");
  }

  void add(TarWriter& writer, const std::string& path, EntryType type,
           const std::string& content = "") const {
    Entry entry;
    entry.path = path;
    entry.type = type;
    entry.mode = type == EntryType::kDirectory ? 0755 : 0644;
    entry.uid = ::geteuid();
    entry.gid = ::getegid();
    if (type == EntryType::kSymlink) entry.link_target = "nowhere";
    if (type == EntryType::kHardLink) entry.link_target = kFirst;
    if (type != EntryType::kFile) {
      ASSERT_TRUE(writer.add(entry));
      return;
    }
    make_file(scratch_ / "content", content);
    entry.size = content.size();
    const UniqueFd file(::open((scratch_ / "content").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(writer.add_file(entry, file.borrow()));
  }

  // Makes what the archive has below `stage`.
  void unpack(TarWriter& writer) const {
    ASSERT_TRUE(writer.finish());
    const uint64_t size = writer.size();
    const UniqueFd archive = writer.release();
    const UniqueFd sandbox(open_directory("sandbox"));
    const UniqueFd top(open_directory("stage"));
    Stage stage(sandbox.borrow(), top.borrow(), {});
    TarReader reader(archive.borrow(), size);
    for (auto next = reader.next(); next && *next; next = reader.next()) {
      const auto put = stage.put(std::move(**next), reader, archive.borrow());
      ASSERT_TRUE(put) << put.error().message();
    }
    ASSERT_TRUE(stage.put_links());
    ASSERT_TRUE(stage.finish());
  }

  [[nodiscard]] int open_directory(const std::string& name) const {
    return ::open((scratch_ / name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }

  [[nodiscard]] fs::path staged(const std::string& path) const {
    return scratch_ / ("stage/" + path);
  }

  [[nodiscard]] bool is_first(const std::string& path) const {
    return fs::is_regular_file(fs::symlink_status(staged(path))) &&
           fs::equivalent(staged(path), staged(kFirst));
  }

  [[nodiscard]] std::string text(const std::string& path) const {
    if (!fs::is_regular_file(fs::symlink_status(staged(path)))) return "";
    std::ifstream file(staged(path));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  ScratchDirectory scratch_;
};

TEST_F(StageTest, of_a_path_that_comes_twice_the_last_one_counts) {
  const std::vector<std::pair<EntryType, fs::file_type>> kinds{
      {EntryType::kFile, fs::file_type::regular},
      {EntryType::kDirectory, fs::file_type::directory},
      {EntryType::kSymlink, fs::file_type::symlink},
      {EntryType::kFifo, fs::file_type::fifo},
      {EntryType::kHardLink, fs::file_type::regular}};
  for (const auto& [earlier, unused] : kinds) {
    for (const auto& [later, expected] : kinds) {
      // Links are made last, whatever comes behind them.
      if (earlier == EntryType::kHardLink) continue;
      SCOPED_TRACE(std::to_string(static_cast<int>(earlier)) + " and " +
                   std::to_string(static_cast<int>(later)));
      fs::remove_all(staged("d"));
      const UniqueFd place(open_directory("."));
      TarWriter writer(unnamed_file(place.borrow()).value());
      add(writer, "d", EntryType::kDirectory);
      add(writer, kFirst, EntryType::kFile, "first");
      add(writer, "d/name", earlier, "earlier");
      if (earlier == EntryType::kDirectory) add(writer, "d/name/below", EntryType::kFile, "below");
      add(writer, "d/name", later, "later");
      add(writer, "d/other", EntryType::kFile, "other");
      unpack(writer);
      EXPECT_EQ(fs::symlink_status(staged("d/name")).type(), expected);
      EXPECT_EQ(text("d/other"), "other");
      EXPECT_EQ(text(kFirst), "first");
      EXPECT_EQ(later == EntryType::kFile, text("d/name") == "later");
      EXPECT_EQ(later == EntryType::kHardLink, is_first("d/name"));
      EXPECT_FALSE(later != EntryType::kDirectory && fs::exists(staged("d/name/below")));
    }
  }
}

TEST_F(StageTest, a_directory_that_is_left_and_come_back_to_is_still_looked_into) {
  const UniqueFd place(open_directory("."));
  TarWriter writer(unnamed_file(place.borrow()).value());
  add(writer, "d", EntryType::kDirectory);
  add(writer, "d/file", EntryType::kFile, "earlier");
  add(writer, "d/sub", EntryType::kDirectory);
  add(writer, "d/sub/file", EntryType::kFile, "below");
  add(writer, "d/file", EntryType::kFile, "later");
  add(writer, "d/sub", EntryType::kFile, "a file now");
  unpack(writer);
  EXPECT_EQ(text("d/file"), "later");
  EXPECT_EQ(text("d/sub"), "a file now");
}

}  // namespace
}  // namespace backupkit
