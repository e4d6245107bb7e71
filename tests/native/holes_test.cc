#include "native/io/holes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tests/native/census.h"

namespace backupkit {
namespace {

constexpr uint64_t kPiece = 65536;  // a multiple of every file system's block

using Extents = std::vector<Extent>;

// Once below the build directory, once on tmpfs.
class Holes : public Census, public ::testing::WithParamInterface<const char*> {
 protected:
  Holes()
      : scratch_(GetParam()),
        file_(::openat(scratch_.fd().get(), "f", O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}

  [[nodiscard]] BorrowedFd file() const { return file_.borrow(); }
  void put(const std::string& bytes, uint64_t at) const {
    EXPECT_EQ(::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)),
              static_cast<ssize_t>(bytes.size()));
  }
  void resize(uint64_t size) const {
    EXPECT_EQ(::ftruncate(file_.get(), static_cast<off_t>(size)), 0);
  }
  [[nodiscard]] struct stat status() const {
    struct stat status{};
    EXPECT_EQ(::fstat(file_.get(), &status), 0);
    return status;
  }
  [[nodiscard]] Extents found() const {
    auto holes = holes_of(file(), static_cast<uint64_t>(status().st_size));
    EXPECT_TRUE(holes) << holes.error().message();
    const auto position = ::lseek(file().get(), 0, SEEK_CUR);
    EXPECT_EQ(may_have_holes(file(), static_cast<uint64_t>(status().st_size)).value(),
              !holes->empty());
    EXPECT_EQ(::lseek(file().get(), position, SEEK_SET), position);
    return holes ? *holes : Extents{};
  }

 private:
  ScratchDirectory scratch_;
  UniqueFd file_;
};

INSTANTIATE_TEST_SUITE_P(On, Holes, ::testing::Values(".", "/dev/shm"),
                         [](const auto& which) { return which.index == 0 ? "Disk" : "Tmpfs"; });

TEST(HoleDigest, differs_with_each_hole_and_is_what_the_format_says) {
  const std::vector<Extents> all{{}, {{0, 1}}, {{1, 1}}, {{0, 2}}, {{0, 1}, {2, 1}}, {{0, 12}}};
  std::set<std::string> digests;
  for (const auto& holes : all) digests.insert(digest_of(holes));
  EXPECT_EQ(digests.size(), all.size());
  EXPECT_EQ(digest_of(Extents{}), "");
  // By xxh128sum(1) of: 0 NUL 4096 NUL 8192 NUL 4096 NUL
  EXPECT_EQ(digest_of(Extents{{0, 4096}, {8192, 4096}}), "xxh3:1a00745677e5e1b150c938c97916fbe1");
}

TEST_P(Holes, a_file_without_blocks_is_one_hole) {
  resize(3 * kPiece + 17);
  EXPECT_EQ(found(), (Extents{{0, 3 * kPiece + 17}}));
}

TEST_P(Holes, are_found_at_the_begin_inside_and_at_the_end) {
  put("a", kPiece);
  put("b", 3 * kPiece);
  resize(5 * kPiece + 1);
  const Extents holes = found();
  ASSERT_EQ(holes.size(), 3U);
  EXPECT_EQ(holes[0], (Extent{0, kPiece}));
  EXPECT_EQ(holes[1].offset + holes[1].length, 3 * kPiece);
  EXPECT_EQ(holes[2].offset + holes[2].length, 5 * kPiece + 1);
  EXPECT_TRUE(are_extents(holes, 5 * kPiece + 1));
}

TEST_P(Holes, zeros_that_were_written_are_data) {
  put(std::string(2 * kPiece, '\0'), 0);
  EXPECT_EQ(found(), Extents{});
  resize(4 * kPiece);
  EXPECT_EQ(found(), (Extents{{2 * kPiece, 2 * kPiece}}));
}

TEST_P(Holes, only_the_size_that_is_asked_for_counts) {
  put("a", 0);
  resize(10 * kPiece);
  const Extents holes = holes_of(file(), 2 * kPiece).value();
  ASSERT_EQ(holes.size(), 1U);
  EXPECT_EQ(holes[0].offset + holes[0].length, 2 * kPiece);
  EXPECT_EQ(holes_of(file(), 1).value(), Extents{});
}

TEST_P(Holes, nothing_is_asked_of_an_empty_file) {
  EXPECT_EQ(holes_of(BorrowedFd(), 0).value(), Extents{});
  EXPECT_FALSE(holes_of(BorrowedFd(), 1));
  EXPECT_FALSE(may_have_holes(BorrowedFd(), 0).value());
  EXPECT_FALSE(may_have_holes(BorrowedFd(), 1));
}

// st_blocks has them, so that it may say as much as a file without holes has.
TEST_P(Holes, are_found_beside_the_blocks_of_attributes_and_of_the_map) {
  put("a", 0);
  resize(kPiece + 4096);
  const std::string value(3000, 'x');
  if (::fsetxattr(file().get(), "user.x", value.data(), value.size(), 0) != 0) {
    GTEST_SKIP() << "no extended attributes here";
  }
  ASSERT_EQ(::fallocate(file().get(), FALLOC_FL_KEEP_SIZE, 2 * kPiece, 2 * kPiece), 0);
  const Extents holes = found();
  ASSERT_EQ(holes.size(), 1U);
  EXPECT_EQ(holes[0].offset + holes[0].length, kPiece + 4096);
}

TEST_P(Holes, the_position_stays) {
  resize(4 * kPiece);
  ASSERT_EQ(::lseek(file().get(), 5, SEEK_SET), 5);
  ASSERT_EQ(found().size(), 1U);
  EXPECT_EQ(::lseek(file().get(), 0, SEEK_CUR), 5);
}

TEST_P(Holes, made_ones_are_found_and_give_their_blocks_back) {
  put(std::string(kPiece, 'a'), 0);
  put(std::string(kPiece, '\0'), kPiece);
  put(std::string(kPiece, 'b'), 2 * kPiece);
  put(std::string(kPiece + 100, '\0'), 3 * kPiece);
  const Extents holes{{kPiece, kPiece}, {3 * kPiece, kPiece + 100}};
  ASSERT_TRUE(make_holes(file(), holes));
  EXPECT_EQ(found(), holes);
  EXPECT_EQ(status().st_size, static_cast<off_t>(4 * kPiece + 100));
  EXPECT_EQ(status().st_blocks, static_cast<blkcnt_t>(2 * kPiece / 512));
  ASSERT_TRUE(make_holes(file(), {}));
  EXPECT_EQ(found(), holes);
}

TEST_P(Holes, outside_of_the_file_are_refused) {
  resize(100);
  for (const Extents& bad : {Extents{{0, 101}}, Extents{{100, 1}}, Extents{{101, 1}},
                             Extents{{1, UINT64_MAX}}, Extents{{0, 0}}}) {
    EXPECT_EQ(make_holes(file(), bad).error().code, Code::kInvalidArgument);
  }
}

TEST(Extents, in_order_apart_and_inside_are_good) {
  EXPECT_TRUE(are_extents({}, 0));
  EXPECT_TRUE(are_extents(Extents{{0, 1}, {2, 1}}, 3));
  EXPECT_FALSE(are_extents(Extents{{0, 1}, {1, 1}}, 3));
  EXPECT_FALSE(are_extents(Extents{{2, 1}, {0, 1}}, 3));
  EXPECT_FALSE(are_extents(Extents{{0, 2}, {1, 2}}, 3));
}

TEST(Extents, complement_is_its_own_inverse) {
  EXPECT_EQ(complement({}, 0), Extents{});
  EXPECT_EQ(complement({}, 5), (Extents{{0, 5}}));
  EXPECT_EQ(complement(Extents{{0, 5}}, 5), Extents{});
  const Extents some{{0, 1}, {3, 2}, {9, 1}};
  EXPECT_EQ(complement(some, 12), (Extents{{1, 2}, {5, 4}, {10, 2}}));
  EXPECT_EQ(complement(complement(some, 12), 12), some);
}

}  // namespace
}  // namespace backupkit
