// Files with holes in an archive.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "native/archive/sparse.h"
#include "native/archive/tar_reader.h"
#include "native/archive/tar_writer.h"
#include "tests/native/census.h"
#include "tests/native/tar_files.h"

namespace backupkit {
namespace {

using Extents = std::vector<Extent>;

class Sparse : public Census {};

// A file of `size` bytes: letters where it has data, zeros in its holes.
Member sparse_file(const std::string& path, size_t size, const Extents& holes) {
  Member member = file(path, std::string(size, 'd'));
  for (const Extent& hole : holes) {
    const auto length = static_cast<size_t>(hole.length);
    member.content.replace(static_cast<size_t>(hole.offset), length, length, '\0');
  }
  member.entry.holes = holes;
  return member;
}

const std::vector<Extents> kSome{
    {{0, 4096}},   {{4096, 4096}}, {{0, 1024}, {2048, 512}, {4096, 1024}},
    {{512, 9488}}, {{0, 10000}},   {{0, 512}, {1024, 8976}},
};

TEST_F(Sparse, a_file_with_holes_comes_back_with_them) {
  std::vector<Member> members;
  for (const Extents& holes : kSome) {
    members.push_back(sparse_file("f" + std::to_string(members.size()), 10000, holes));
    members.push_back(file("between" + std::to_string(members.size()), "b"));
  }
  const std::string bytes = pack(members);
  EXPECT_EQ(unpack(bytes).value(), members);
}

TEST_F(Sparse, holes_shrink_to_whole_blocks) {
  const std::string bytes = pack({sparse_file("f", 5000, {{100, 100}, {1000, 3000}})});
  EXPECT_EQ(unpack(bytes).value().at(0).entry.holes, (Extents{{1024, 2560}}));
  EXPECT_EQ(unpack(bytes).value().at(0).content,
            sparse_file("f", 5000, {{100, 100}, {1000, 3000}}).content);
}

TEST_F(Sparse, holes_are_neither_read_nor_stored) {
  constexpr uint64_t kSize = uint64_t{1} << 34U;
  const UniqueFd content = memory("head");
  ASSERT_EQ(::ftruncate(content.get(), static_cast<off_t>(kSize)), 0);
  Entry entry = entry_of("f");
  entry.size = kSize;
  entry.holes = {{4096, kSize - 4096}};
  TarWriter writer(memory());
  // The hash counts the zeros, which takes its time.
  Entry small = entry;
  small.size = uint64_t{1} << 26U;
  small.holes = {{4096, small.size - 4096}};
  const auto hash = writer.add_file(small, content.borrow());
  ASSERT_TRUE(hash) << hash.error().message();
  EXPECT_EQ(*hash, hash_of("head" + std::string(static_cast<size_t>(small.size) - 4, '\0')));
  EXPECT_LT(writer.size(), 10'000U);
  struct stat status{};
  ASSERT_EQ(::fstat(content.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 8) << "reading a hole of a file in memory fills it";
}

TEST_F(Sparse, what_ended_early_is_filled_up) {
  Member shrunk = sparse_file("f", 10000, {{1024, 4096}});
  TarWriter writer(memory());
  const auto added = writer.add_file(shrunk.entry, memory(std::string(6000, 'd')).borrow());
  EXPECT_EQ(added.error().code, Code::kPackFailed);
  const auto from_pipe = writer.add_file(shrunk.entry, BorrowedFd());
  EXPECT_EQ(from_pipe.error().sys_errno, EBADF);
  ASSERT_TRUE(writer.finish());
  shrunk.content.replace(6000, 4000, 4000, '\0');
  const auto members = unpack(contents(writer.release().borrow())).value();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0], shrunk);
  EXPECT_EQ(members[1].content, std::string(10000, '\0'));
}

TEST_F(Sparse, is_copied_behind_what_is_there) {
  const std::string bytes = pack({sparse_file("f", 9000, {{4096, 4904}})});
  const UniqueFd in = memory(bytes);
  TarReader reader(in.borrow(), bytes.size());
  ASSERT_TRUE(reader.next().value());
  const UniqueFd out = memory("before");
  ASSERT_EQ(::lseek(out.get(), 6, SEEK_SET), 6);
  ASSERT_TRUE(reader.copy_content(out.borrow()));
  EXPECT_EQ(contents(out.borrow()), "before" + std::string(4096, 'd') + std::string(4904, '\0'));
  EXPECT_EQ(::lseek(out.get(), 0, SEEK_CUR), 9006);
}

TEST_F(Sparse, what_cannot_be_holes_is_refused) {
  for (const Extents& holes : {Extents{{0, 0}}, Extents{{9000, 1001}}, Extents{{5, 5}, {0, 1}}}) {
    Member bad = file("f", std::string(10000, 'd'));
    bad.entry.holes = holes;
    TarWriter writer(memory());
    EXPECT_EQ(writer.add_file(bad.entry, memory(bad.content).borrow()).error().code,
              Code::kInvalidArgument);
    EXPECT_EQ(writer.size(), 0U);
  }
}

TEST_F(Sparse, stored_extents_are_whole_blocks_and_apart) {
  EXPECT_EQ(stored_extents(Extents{{0, 600}, {700, 300}}, 2000), (Extents{{512, 1488}}));
  EXPECT_EQ(stored_extents(Extents{{0, 512}, {513, 1487}}, 2000), (Extents{{512, 512}}));
  EXPECT_EQ(stored_extents(Extents{{0, 2000}}, 2000), Extents{});
}

// Gives the map that `text` is, fed block by block.
Result<Extents> map_of(std::string text) {
  text += padding_of(text);
  SparseMapReader reader;
  for (size_t at = 0; at < text.size(); at += kTarBlock) {
    const auto taken = reader.take(std::string_view(text).substr(at, kTarBlock));
    if (!taken) return failure(taken.error());
    if (*taken) return reader.release();
  }
  return failure(Code::kUnpackFailed, "no end");
}

TEST_F(Sparse, a_map_may_be_longer_than_a_block) {
  Extents many;
  Extents holes;
  for (uint64_t i = 0; i < 1000; ++i) {
    many.push_back({i * 1024, 512});
    holes.push_back({i * 1024 + 512, 512});
  }
  many.push_back({1024000, 0});
  EXPECT_EQ(map_of(encode_sparse_map(stored_extents(holes, 1024000), 1024000)).value(), many);
  EXPECT_EQ(map_of("0\n").value(), Extents{});
}

TEST_F(Sparse, a_map_has_what_a_million_holes_leave_and_no_more) {
  std::string map = std::to_string(kMaxHoles + 1) + "\n";
  for (size_t i = 0; i <= kMaxHoles; ++i) map += std::to_string(2 * i) + "\n1\n";
  map += padding_of(map);
  SparseMapReader reader;
  for (size_t at = 0; at < map.size(); at += kTarBlock) {
    const auto taken = reader.take(std::string_view(map).substr(at, kTarBlock));
    ASSERT_TRUE(taken) << taken.error().message();
    EXPECT_EQ(*taken, at + kTarBlock == map.size());
  }
  EXPECT_FALSE(SparseMapReader().take(std::to_string(kMaxHoles + 2) + "\n"));
}

TEST_F(Sparse, a_map_of_anything_else_is_refused) {
  for (const std::string text :
       {"", "\n", "x\n", "1", "1\n", "1\n0\n", "1\n0\n-1\n", "1\n 0\n1\n", "1\n0,1\n",
        "1\n99999999999999999999\n1\n", "1000002\n", "2\n0\n1\n"}) {
    EXPECT_FALSE(map_of(text)) << text;
  }
}

TEST_F(Sparse, pairs_must_be_in_order_inside_and_of_blocks) {
  EXPECT_EQ(check_sparse(Extents{{0, 512}, {512, 512}, {2048, 100}}, 3000, 1124).value(),
            (Extents{{0, 1024}, {2048, 100}}));
  EXPECT_EQ(check_sparse(Extents{{3000, 0}}, 3000, 0).value(), Extents{});
  for (const Extents& bad : {Extents{{0, 100}, {512, 512}}, Extents{{512, 512}, {0, 512}},
                             Extents{{0, 1024}, {512, 512}}, Extents{{2560, 512}},
                             Extents{{3001, 0}}, Extents{{0, UINT64_MAX}}}) {
    EXPECT_FALSE(check_sparse(bad, 3000, 1024));
  }
  EXPECT_FALSE(check_sparse(Extents{{0, 512}}, 3000, 1024)) << "less than is stored";
}

}  // namespace
}  // namespace backupkit
