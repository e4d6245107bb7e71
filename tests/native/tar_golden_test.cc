// Archives that other programs wrote: what their text beside them says is what a reader must give.
//
//   text = *( entry LF )
//   entry = type mode uid:gid size seconds.nanoseconds path [ "->" target ]
//           [ "device=" major "," minor ] [ hash ]
//           *( "hole=" offset "+" length ) *( "xattr=" name ":" base64 )    ; parted by one space
//   path, target and name are percent-encoded, a space in them too; a large file has no hash
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "native/archive/tar_reader.h"
#include "native/base/base64.h"
#include "native/base/percent.h"
#include "native/io/holes.h"
#include "tests/native/census.h"
#include "tests/native/tar_files.h"

namespace backupkit {
namespace {

constexpr uint64_t kLarge = uint64_t{1} << 20U;

std::string bytes_of(const std::filesystem::path& path) {
  std::stringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

std::string encoded(const std::string& name) {
  std::string text;
  for (const char c : percent_encode(name)) text += c == ' ' ? "%20" : std::string(1, c);
  return text;
}

// What it is, then what it holds, which must have the holes that the entry speaks of.
std::string described(const Entry& entry, TarReader& reader) {
  std::array<char, 128> numbers;
  (void)std::snprintf(numbers.data(), numbers.size(), "%c %04o %ju:%ju %ju %jd.%09u ",
                      static_cast<char>(entry.type), entry.mode, uintmax_t{entry.uid},
                      uintmax_t{entry.gid}, uintmax_t{entry.size}, intmax_t{entry.mtime.seconds},
                      entry.mtime.nanoseconds);
  std::string text = numbers.data() + encoded(entry.path);
  if (!entry.link_target.empty()) text += " -> " + encoded(entry.link_target);
  if (entry.device_major != 0) {
    text +=
        " device=" + std::to_string(entry.device_major) + "," + std::to_string(entry.device_minor);
  }
  if (entry.type == EntryType::kFile) {
    const UniqueFd out = memory();
    const auto copied = reader.copy_content(out.borrow());
    EXPECT_TRUE(copied) << copied.error().message();
    struct stat status{};
    EXPECT_EQ(::fstat(out.get(), &status), 0);
    EXPECT_EQ(static_cast<uint64_t>(status.st_size), entry.size);
    EXPECT_LE(status.st_blocks, 512);
    if (entry.size <= kLarge) text += " " + hash_of(contents(out.borrow()));
  }
  for (const Extent& hole : entry.holes) {
    text += " hole=" + std::to_string(hole.offset) + "+" + std::to_string(hole.length);
  }
  for (const auto& [name, value] : entry.xattrs) {
    text += " xattr=" + encoded(name) + ":" + base64_encode(value);
  }
  return text + "\n";
}

Result<std::string> description(const std::string& bytes) {
  const UniqueFd in = memory(bytes);
  TarReader reader(in.borrow(), bytes.size());
  std::string text;
  for (;;) {
    const auto entry = reader.next();
    if (!entry) return failure(entry.error());
    if (!*entry) return text;
    text += described(**entry, reader);
  }
}

std::vector<std::string> archives() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(BACKUPKIT_CONFORMANCE "/tar")) {
    if (file.path().extension() == ".tar") names.push_back(file.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

class TarGolden : public Census, public ::testing::WithParamInterface<std::string> {
 protected:
  [[nodiscard]] static std::filesystem::path path(const std::string& extension) {
    return std::filesystem::path(BACKUPKIT_CONFORMANCE "/tar") / (GetParam() + extension);
  }
};

INSTANTIATE_TEST_SUITE_P(Of, TarGolden, ::testing::ValuesIn(archives()), [](const auto& which) {
  std::string name = which.param;
  std::ranges::replace(name, '.', '_');
  return name;
});

TEST_P(TarGolden, reads_as_its_text_says) {
  const auto text = description(bytes_of(path(".tar")));
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_EQ(*text, bytes_of(path(".txt")));
}

// Reads all of `in`; an error is one of the input, or of `out`, which cannot hold every size.
void expect_an_answer(BorrowedFd in, uint64_t size, BorrowedFd out) {
  TarReader reader(in, size);
  for (;;) {
    const auto entry = reader.next();
    if (!entry) {
      EXPECT_EQ(entry.error().code, Code::kUnpackFailed);
    }
    if (!entry || !*entry) return;
    EXPECT_TRUE(are_extents((*entry)->holes, (*entry)->size));
    EXPECT_TRUE(are_xattrs((*entry)->xattrs));
    ASSERT_EQ(::ftruncate(out.get(), 0), 0);
    ASSERT_EQ(::lseek(out.get(), 0, SEEK_SET), 0);
    if (const auto copied = reader.copy_content(out); !copied) {
      EXPECT_NE(copied.error().sys_errno, 0);
    }
  }
}

// Of the first bytes, which are all of a plain archive: the sum of it all takes minutes.
TEST_P(TarGolden, every_truncation_and_flip_is_an_error_or_an_answer) {
  const std::string bytes = bytes_of(path(".tar"));
  const size_t size = std::min<size_t>(bytes.size(), 4608);
  const UniqueFd in = memory(bytes.substr(0, size));
  const UniqueFd out = memory();
  for (size_t at = 0; at < size; ++at) {
    expect_an_answer(in.borrow(), at, out.borrow());
    const char flipped = static_cast<char>(bytes[at] ^ (1 << at % 8));
    ASSERT_EQ(::pwrite(in.get(), &flipped, 1, static_cast<off_t>(at)), 1);
    expect_an_answer(in.borrow(), size, out.borrow());
    ASSERT_EQ(::pwrite(in.get(), &bytes[at], 1, static_cast<off_t>(at)), 1);
  }
}

}  // namespace
}  // namespace backupkit
