#include "native/extension/file_maker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/native/census.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFiles = 1500;
constexpr uint64_t kDirectories = 40;

class FileMakerTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    scratch_.emplace(memory_directory());
    for (uint64_t i = 0; i < 300'000; ++i) text_ += static_cast<char>('a' + i * i % 26);
    make_file(*scratch_ / "archive", text_);
    archive_.reset(::open((*scratch_ / "archive").c_str(), O_RDONLY | O_CLOEXEC));
    for (uint64_t i = 0; i < kDirectories; ++i) {
      const fs::path path = made() / std::to_string(i);
      fs::create_directories(path);
      directories_.push_back(
          std::make_shared<UniqueFd>(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    }
  }

  void TearDown() override {
    directories_.clear();
    archive_.reset();
    scratch_.reset();
    Census::TearDown();
  }

  [[nodiscard]] fs::path made() const { return *scratch_ / "made"; }

  // File number `i`, in runs of five that are in one directory.
  [[nodiscard]] NewFile file(uint64_t i) const {
    const auto directory = static_cast<size_t>(i / 5 % kDirectories);
    NewFile wanted;
    wanted.directory = directories_[directory];
    wanted.name = std::to_string(i);
    wanted.path = std::to_string(directory) + "/" + wanted.name;
    wanted.metadata.mode = static_cast<uint32_t>(0600 + i % 0177);
    wanted.metadata.uid = ::geteuid();
    wanted.metadata.gid = ::getegid();
    wanted.metadata.mtime = {static_cast<int64_t>(1000000 + i), static_cast<uint32_t>(i)};
    wanted.archive = archive_.borrow();
    wanted.offset = i;
    wanted.size = i % 300 == 299 ? 200'000 : i * 7 % 3000;
    return wanted;
  }

  void check(const NewFile& wanted) const {
    const fs::path path = made() / wanted.path;
    std::ifstream content(path);
    EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(content), {}) ==
                text_.substr(static_cast<size_t>(wanted.offset), static_cast<size_t>(wanted.size)))
        << path;
    struct stat found{};
    ASSERT_EQ(::stat(path.c_str(), &found), 0) << path;
    EXPECT_EQ(found.st_mode & 07777U, wanted.metadata.mode) << path;
    EXPECT_EQ(found.st_mtim.tv_sec, wanted.metadata.mtime.seconds) << path;
    EXPECT_EQ(found.st_mtim.tv_nsec, wanted.metadata.mtime.nanoseconds) << path;
  }

  std::optional<ScratchDirectory> scratch_;
  std::string text_;
  UniqueFd archive_;
  std::vector<std::shared_ptr<UniqueFd>> directories_;
};

TEST_F(FileMakerTest, all_files_are_made_with_content_and_metadata) {
  for (const size_t threads : {size_t{0}, size_t{1}, size_t{4}}) {
    {
      FileMaker maker(threads);
      for (uint64_t i = 0; i < kFiles; ++i) ASSERT_TRUE(maker.add(file(i)).has_value());
      ASSERT_TRUE(maker.finish().has_value());
      ASSERT_TRUE(maker.finish().has_value());
      ASSERT_TRUE(maker.add(file(kFiles)).has_value());
      ASSERT_TRUE(maker.finish().has_value());
    }
    for (uint64_t i = 0; i <= kFiles; ++i) {
      check(file(i));
      fs::remove(made() / file(i).path);
    }
  }
}

TEST_F(FileMakerTest, one_that_cannot_be_made_is_named_and_nothing_comes_after_it) {
  for (const size_t threads : {size_t{0}, size_t{1}, size_t{4}}) {
    FileMaker maker(threads);
    make_file(made() / file(700).path, "in the way");
    Result<void> added;
    uint64_t i = 0;
    for (; i < kFiles && added; ++i) added = maker.add(file(i));
    if (added) added = maker.finish();
    ASSERT_FALSE(added.has_value());
    EXPECT_EQ(added.error().sys_errno, EEXIST);
    EXPECT_TRUE(added.error().message().contains("'" + file(700).path + "'"))
        << added.error().message();
    if (threads > 0) {
      EXPECT_FALSE(maker.add(file(kFiles)).has_value());
      EXPECT_FALSE(maker.finish().has_value());
      EXPECT_FALSE(fs::exists(made() / file(kFiles).path));
    }
    for (i = 0; i < kFiles; ++i) fs::remove(made() / file(i).path);
  }
}

TEST_F(FileMakerTest, an_archive_that_ends_early_is_an_error) {
  FileMaker maker(2);
  auto cut = file(3);
  cut.offset = text_.size() - 10;
  ASSERT_FALSE(maker.add(std::move(cut)).has_value());
}

TEST_F(FileMakerTest, whoever_goes_without_a_finish_leaves_no_thread_behind) {
  FileMaker maker(4);
  for (uint64_t i = 0; i < kFiles; ++i) ASSERT_TRUE(maker.add(file(i)).has_value());
}

}  // namespace
}  // namespace backupkit
