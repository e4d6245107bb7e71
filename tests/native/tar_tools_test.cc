// Archives between us and other programs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "native/archive/tar_encode.h"
#include "tests/native/census.h"
#include "tests/native/tar_files.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class OtherTar : public Census, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    Census::SetUp();
    std::string name = (fs::temp_directory_path() / "tar_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    fs::create_directory(dir_ / "out");
  }
  void TearDown() override {
    fs::remove_all(dir_);
    Census::TearDown();
  }

  void save(const std::string& bytes) const {
    std::ofstream(dir_ / "a.tar", std::ios::binary) << bytes;
  }

  // Runs a shell command in the directory; gives its output. Only the status counts:
  // GNU tar warns of old times and of hdrcharset.
  std::string run(const std::string& command) const {
    const std::string line =
        "cd '" + dir_.string() + "' && export LC_ALL=C.UTF-8 && { " + command + "; } 2>err";
    FILE* pipe = ::popen(line.c_str(), "r");
    std::string output;
    std::array<char, 4096> some;
    while (const size_t got = std::fread(some.data(), 1, some.size(), pipe)) {
      output.append(some.data(), got);
    }
    const int status = ::pclose(pipe);
    std::ifstream err(dir_ / "err");
    std::stringstream complaint;
    complaint << err.rdbuf();
    EXPECT_EQ(status, 0) << command << ": " << complaint.str();
    return output;
  }

  fs::path dir_;
};

void expect_on_disk(const fs::path& root, const Member& member) {
  const Entry& entry = member.entry;
  const std::string path = (root / entry.path).string();
  struct stat status{};
  ASSERT_EQ(::lstat(path.c_str(), &status), 0) << entry.path;
  if (entry.type == EntryType::kHardLink) {
    struct stat first{};
    ASSERT_EQ(::lstat((root / entry.link_target).c_str(), &first), 0);
    EXPECT_EQ(status.st_ino, first.st_ino);
    return;
  }
  if (::geteuid() == 0) {
    EXPECT_EQ(status.st_uid, entry.uid) << entry.path;
    EXPECT_EQ(status.st_gid, entry.gid) << entry.path;
  }
  EXPECT_EQ(status.st_mtim.tv_sec, entry.mtime.seconds) << entry.path;
  EXPECT_EQ(status.st_mtim.tv_nsec, entry.mtime.nanoseconds) << entry.path;
  if (entry.type == EntryType::kSymlink) {
    EXPECT_EQ(fs::read_symlink(path).string(), entry.link_target);
    return;
  }
  EXPECT_EQ(status.st_mode & 07777U, entry.mode) << entry.path;
  if (entry.type == EntryType::kFifo) {
    EXPECT_TRUE(S_ISFIFO(status.st_mode));
  }
  if (entry.type == EntryType::kFile) {
    std::stringstream content;
    content << std::ifstream(path, std::ios::binary).rdbuf();
    EXPECT_TRUE(member.content.empty() || content.str() == member.content) << entry.path;
    EXPECT_EQ(static_cast<uint64_t>(status.st_size), entry.size) << entry.path;
  }
}

TEST_P(OtherTar, extracts_what_we_wrote) {
  std::vector<Member> members = everything();
  if (::geteuid() != 0) {
    std::erase_if(members, [](const Member& m) { return m.entry.mode == 06755; });
  }
  if (std::string(GetParam()) == "bsdtar") {  // libarchive takes "-0.25" for +0.25
    std::erase_if(members, [](const Member& m) {
      return m.entry.mtime.seconds < 0 && m.entry.mtime.nanoseconds != 0;
    });
  }
  save(pack(members));
  run(std::string(GetParam()) + " -xpf a.tar -C out --numeric-owner");
  for (const Member& member : members) expect_on_disk(dir_ / "out", member);
}

TEST_P(OtherTar, lists_every_entry) {
  const std::vector<Member> members = everything();
  save(pack(members));
  const std::string listing = run(std::string(GetParam()) + " -tf a.tar");
  EXPECT_EQ(std::count(listing.begin(), listing.end(), '\n'),
            static_cast<std::ptrdiff_t>(members.size()));
}

TEST_P(OtherTar, lists_sizes_past_8_gib_and_paths_past_4096) {
  constexpr uint64_t kSize = uint64_t{9} << 30U;
  Entry entry = entry_of("huge");
  for (int i = 0; i < 30; ++i) entry.path += "/" + std::string(199, 'd');
  entry.size = kSize;
  std::string header;
  ASSERT_TRUE(encode_header(entry, header));
  save(header);
  fs::resize_file(dir_ / "a.tar", header.size() + kSize + 2 * kTarBlock);  // a hole
  const std::string listing = run(std::string(GetParam()) + " -tvf a.tar");
  EXPECT_NE(listing.find(std::to_string(kSize)), std::string::npos) << listing;
  EXPECT_NE(listing.find(entry.path), std::string::npos);
  const UniqueFd in(::open((dir_ / "a.tar").c_str(), O_RDONLY | O_CLOEXEC));
  TarReader reader(in.borrow(), fs::file_size(dir_ / "a.tar"));
  const auto read = reader.next();
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_TRUE(**read == entry);
  EXPECT_EQ(reader.content_offset().value(), header.size());
  EXPECT_FALSE(reader.next().value().has_value());
}

TEST_P(OtherTar, is_read_by_us) {
  const std::string tool = GetParam();
  const std::string long_name(180, 'n');
  const std::string fraction = tool == "tar" ? ".123456789" : "";  // see above
  run("mkdir -p in/sub && cd in && printf hello > file && printf x > \"$(printf '\\377\\nb')\""
      " && printf long > sub/" +
      long_name + long_name.substr(0, 60) + " && touch -d '1960-01-02 03:04:05" + fraction +
      " UTC' sub/old && touch -d @1700000000.5 file"
      " && ln -s file soft && mkfifo pipe && ln file hard && chmod 2751 sub && cd ..");
  run(tool + " --format=pax -cf a.tar -C in .");
  std::ifstream saved(dir_ / "a.tar", std::ios::binary);
  std::stringstream bytes;
  bytes << saved.rdbuf();
  const auto members = unpack(bytes.str());
  ASSERT_TRUE(members) << members.error().message();
  ASSERT_EQ(members->size(), 9U);
  for (Member member : *members) {
    if (::geteuid() != 0) member.entry.uid = ::getuid();
    if (member.entry.type == EntryType::kHardLink) continue;  // which is first is the tool's choice
    expect_on_disk(dir_ / "in", member);
  }
}

INSTANTIATE_TEST_SUITE_P(Tools, OtherTar, ::testing::Values("tar", "bsdtar"),
                         [](const auto& tool) { return std::string(tool.param); });

}  // namespace
}  // namespace backupkit
