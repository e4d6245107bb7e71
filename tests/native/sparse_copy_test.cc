#include "native/io/sparse_copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "native/io/holes.h"
#include "native/io/tmpfile.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

constexpr uint64_t kPiece = 65536;  // a multiple of every file system's block

class SparseCopy : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    for (auto* file : {&in_, &out_}) *file = unnamed_file(scratch_.fd()).value();
  }
  void TearDown() override {
    for (auto* file : {&in_, &out_}) file->reset();
    Census::TearDown();
  }

  // Pieces one after another: a letter's are filled with it, '-' are holes.
  void make(const std::string& pieces, uint64_t more) {
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i] == '-') continue;
      const std::string piece(kPiece, pieces[i] == '0' ? '\0' : pieces[i]);
      ASSERT_EQ(::pwrite(in_.get(), piece.data(), piece.size(), static_cast<off_t>(i * kPiece)),
                static_cast<ssize_t>(piece.size()));
    }
    ASSERT_EQ(::ftruncate(in_.get(), static_cast<off_t>(pieces.size() * kPiece + more)), 0);
  }

  [[nodiscard]] static uint64_t size_of(const UniqueFd& file) {
    struct stat found{};
    EXPECT_EQ(::fstat(file.get(), &found), 0);
    return static_cast<uint64_t>(found.st_size);
  }
  [[nodiscard]] static std::vector<Extent> holes(const UniqueFd& file) {
    return holes_of(file.borrow(), size_of(file)).value();
  }
  [[nodiscard]] static Bytes bytes(const UniqueFd& file) {
    return read_file(file.borrow(), 100 * kPiece).value();
  }
  [[nodiscard]] uint64_t copy() {
    Copier copier;
    return copy_sparse(copier, in_.borrow(), out_.borrow()).value();
  }

  ScratchDirectory scratch_;
  UniqueFd in_;
  UniqueFd out_;
};

TEST_F(SparseCopy, has_the_holes_and_the_bytes_of_the_file) {
  for (const std::string pieces : {"a-b", "-a", "a-", "---", "a-0-b--", "ab", ""}) {
    for (const uint64_t more : {uint64_t{0}, uint64_t{17}}) {
      SCOPED_TRACE(pieces + " " + std::to_string(more));
      for (auto* file : {&in_, &out_}) *file = unnamed_file(scratch_.fd()).value();
      make(pieces, more);
      EXPECT_EQ(copy(), size_of(in_));
      EXPECT_EQ(size_of(out_), size_of(in_));
      EXPECT_EQ(holes(out_), holes(in_));
      EXPECT_EQ(bytes(out_), bytes(in_));
      for (const auto* file : {&in_, &out_}) {
        EXPECT_EQ(::lseek(file->get(), 0, SEEK_CUR), static_cast<off_t>(size_of(in_)));
      }
    }
  }
}

TEST_F(SparseCopy, completes_what_has_come_of_a_sparse_file) {
  make("a--b-", 0);
  const auto size = size_of(in_);
  for (const uint64_t come : {uint64_t{0}, kPiece + 5, 3 * kPiece + 5, size}) {
    ASSERT_EQ(::ftruncate(out_.get(), static_cast<off_t>(come)), 0);
    Copier copier;
    EXPECT_EQ(complete(in_.borrow(), out_.borrow(), copier).value(), size - come);
    EXPECT_EQ(bytes(out_), bytes(in_));
    EXPECT_EQ(holes(out_), holes(in_));
  }
}

TEST_F(SparseCopy, begins_at_the_positions) {
  make("a--b-", 0);
  ASSERT_EQ(::write(out_.get(), "begin", 5), 5);
  ASSERT_EQ(::lseek(in_.get(), kPiece + 10, SEEK_SET), static_cast<off_t>(kPiece + 10));
  EXPECT_EQ(copy(), 4 * kPiece - 10);
  auto wanted = bytes(in_);
  wanted.erase(wanted.begin(), wanted.begin() + kPiece + 10);
  const std::string begin("begin");
  wanted.insert(wanted.begin(), begin.begin(), begin.end());
  EXPECT_EQ(bytes(out_), wanted);
  EXPECT_FALSE(holes(out_).empty());
}

TEST_F(SparseCopy, writes_the_zeros_over_what_is_there) {
  make("a--b", 0);
  const std::string old(6 * kPiece, 'o');
  ASSERT_EQ(::pwrite(out_.get(), old.data(), old.size(), 0), static_cast<ssize_t>(old.size()));
  EXPECT_EQ(copy(), 4 * kPiece);
  auto wanted = bytes(in_);
  wanted.resize(6 * kPiece, 'o');
  EXPECT_EQ(bytes(out_), wanted);
}

TEST_F(SparseCopy, appends_all_where_the_file_was_opened_to_append) {
  make("a--b", 0);
  out_.reset(::open((scratch_ / "out").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  EXPECT_EQ(copy(), 4 * kPiece);
  EXPECT_EQ(bytes(out_), bytes(in_));
}

}  // namespace
}  // namespace backupkit
