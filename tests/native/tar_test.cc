#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/archive/tar_reader.h"
#include "native/archive/tar_writer.h"
#include "native/base/hash.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class Tar : public Census {};
class TarReading : public Census {};

struct Member {
  Entry entry;
  std::string content;
  friend bool operator==(const Member&, const Member&) = default;
};

UniqueFd memory(const std::string& bytes = "") {
  UniqueFd fd(::memfd_create("tar_test", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return fd;
}

std::string contents(BorrowedFd fd) {
  struct stat status{};
  EXPECT_EQ(::fstat(fd.get(), &status), 0);
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), status.st_size);
  return bytes;
}

std::string hash_of(const std::string& bytes) {
  Hasher hasher;
  hasher.update({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  return hasher.finish();
}

Entry entry_of(std::string path, EntryType type = EntryType::kFile, std::string target = "") {
  Entry entry;
  entry.path = std::move(path);
  entry.type = type;
  entry.mode = type == EntryType::kDirectory ? 0755 : 0640;
  entry.uid = 1000;
  entry.gid = 1001;
  entry.mtime = {1700000000, 0};
  entry.link_target = std::move(target);
  return entry;
}

Member file(std::string path, std::string content) {
  Member member{entry_of(std::move(path)), std::move(content)};
  member.entry.size = member.content.size();
  return member;
}

// The archive of `members`, checked while it is written.
std::string pack(const std::vector<Member>& members) {
  TarWriter writer(memory());
  for (const Member& member : members) {
    if (member.entry.type == EntryType::kFile) {
      const auto hash = writer.add_file(member.entry, memory(member.content).borrow());
      EXPECT_TRUE(hash) << hash.error().message();
      if (hash) {
        EXPECT_EQ(*hash, hash_of(member.content));
      }
    } else {
      const auto added = writer.add(member.entry);
      EXPECT_TRUE(added) << added.error().message();
    }
  }
  EXPECT_TRUE(writer.finish());
  EXPECT_EQ(writer.entries(), members.size());
  const UniqueFd out = writer.release();
  const std::string bytes = contents(out.borrow());
  EXPECT_EQ(writer.size(), bytes.size());
  EXPECT_EQ(writer.digest(), hash_of(bytes));
  return bytes;
}

Result<std::vector<Member>> unpack(const std::string& bytes) {
  const UniqueFd in = memory(bytes);
  TarReader reader(in.borrow(), bytes.size());
  std::vector<Member> members;
  for (;;) {
    auto entry = reader.next();
    if (!entry) return failure(entry.error());
    if (!*entry) return members;
    const UniqueFd out = memory();
    if (auto copied = reader.copy_content(out.borrow()); !copied) return failure(copied.error());
    members.push_back({std::move(**entry), contents(out.borrow())});
    EXPECT_EQ(members.back().content.size(), members.back().entry.size);
  }
}

// One of everything, with what needs records and what does not.
std::vector<Member> everything() {
  std::vector<Member> all;
  all.push_back({entry_of("d", EntryType::kDirectory), ""});
  all.push_back(file("d/plain", "some bytes\n"));
  all.push_back(file("d/empty", ""));
  all.push_back(file("d/block", std::string(512, 'b')));
  all.push_back(file("d/new\nline", "n"));
  all.push_back(file("d/\xFF\xFE", "not UTF-8"));
  all.push_back(
      file("d/Gr\xC3\xBC\xC3\x9F"
           "e",
           "UTF-8"));
  all.push_back(file(std::string("d/") + std::string(98, 'x'), "exactly 100"));
  all.push_back(file(std::string("d/") + std::string(99, 'y'), "101"));
  all.push_back(file("d/" + std::string(250, 'z'), "no place to cut"));
  all.push_back(file("d/\xFF" + std::string(250, 'z'), "a record that is not UTF-8"));
  all.push_back({entry_of("d/" + std::string(99, 'q'), EntryType::kDirectory), ""});
  all.push_back({entry_of("d/" + std::string(230, 'r'), EntryType::kDirectory), ""});
  all.push_back({entry_of("d/link", EntryType::kSymlink, "plain"), ""});
  all.push_back({entry_of("d/long", EntryType::kSymlink, std::string(300, 't')), ""});
  all.push_back({entry_of("d/raw", EntryType::kSymlink, "\xFF" + std::string(300, 't')), ""});
  all.push_back({entry_of("d/hard", EntryType::kHardLink, "d/plain"), ""});
  all.push_back({entry_of("d/pipe", EntryType::kFifo), ""});
  const std::array<Timestamp, 6> times{{{1700000000, 123456789},
                                        {1700000000, 500000000},
                                        {-1, 0},
                                        {-1, 750000000},
                                        {-100, 1},
                                        {8589934592, 0}}};
  for (const Timestamp time : times) {
    all.push_back(file("d/time" + std::to_string(all.size()), "t"));
    all.back().entry.mtime = time;
  }
  all.push_back(file("d/owner", "o"));
  all.back().entry.uid = 2097152;
  all.back().entry.gid = 4294967294;
  all.push_back(file("d/setuid", "s"));
  all.back().entry.mode = 06755;
  return all;
}

TEST_F(Tar, unpack_gives_what_was_packed) {
  std::vector<Member> members = everything();
  members.push_back(file("large", std::string(3'000'001, 'l')));
  std::string deep = "p";
  while (deep.size() < 20'000) deep += "/" + std::string(200, 'p');
  members.push_back(file(deep, "deep"));
  Member device{entry_of("device", EntryType::kCharDevice), ""};
  device.entry.device_major = 4095;
  device.entry.device_minor = 1048575;
  members.push_back(device);
  device.entry.type = EntryType::kBlockDevice;
  members.push_back(device);
  const auto read = unpack(pack(members));
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_EQ(read->size(), members.size());
  for (size_t i = 0; i < members.size(); ++i) {
    EXPECT_TRUE((*read)[i] == members[i]) << members[i].entry.path;
  }
}

TEST_F(Tar, header_is_one_block_where_ustar_suffices) {
  Entry entry = entry_of(std::string(155, 'a') + "/" + std::string(100, 'b'));
  entry.uid = entry.gid = 2097151;
  entry.size = 8589934591;
  entry.mtime = {8589934591, 0};
  std::string header;
  ASSERT_TRUE(encode_header(entry, header));
  EXPECT_EQ(header.size(), kTarBlock);
  const auto decoded = decode_header(std::span<const uint8_t, kTarBlock>(
      reinterpret_cast<const uint8_t*>(header.data()), kTarBlock));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->entry == entry);
}

TEST_F(Tar, record_lengths_count_themselves) {
  for (size_t length = 80; length < 1100; ++length) {
    Entry entry = entry_of(std::string(length, 'x'));
    std::string bytes;
    ASSERT_TRUE(encode_header(entry, bytes));
    bytes.append(2 * kTarBlock, '\0');
    const auto read = unpack(bytes);
    ASSERT_TRUE(read) << length << ": " << read.error().message();
    ASSERT_EQ(read->at(0).entry.path.size(), length);
  }
}

TEST_F(Tar, what_cannot_be_archived_is_refused_and_leaves_nothing) {
  Entry too_long = entry_of(std::string(kMaxTarPath, 'x'));
  Entry nul = entry_of(std::string("a\0b", 3));
  Entry with_size = entry_of("d", EntryType::kDirectory);
  with_size.size = 1;
  Entry device = entry_of("d", EntryType::kCharDevice);
  device.device_major = 1U << 21U;
  Entry time = entry_of("t");
  time.mtime.nanoseconds = 1'000'000'000;
  for (const Entry& entry :
       {entry_of(""), entry_of("a/"), too_long, nul, with_size, device, time}) {
    std::string out = "kept";
    const auto encoded = encode_header(entry, out);
    ASSERT_FALSE(encoded);
    EXPECT_EQ(encoded.error().code, Code::kInvalidArgument);
    EXPECT_EQ(out, "kept");
  }
}

TEST_F(Tar, writer_fills_up_what_ended_early) {
  for (const size_t there : {size_t{0}, size_t{1}, size_t{700}, size_t{2'500'000}}) {
    TarWriter writer(memory());
    Member before = file("before", "1");
    Member shrunk = file("shrunk", std::string(there + 1000, 's'));
    Member after = file("after", "2");
    ASSERT_TRUE(writer.add_file(before.entry, memory(before.content).borrow()));
    const auto added = writer.add_file(shrunk.entry, memory(std::string(there, 's')).borrow());
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, Code::kPackFailed);
    EXPECT_NE(added.error().message().find("\"shrunk\""), std::string::npos);
    const auto hash = writer.add_file(after.entry, memory(after.content).borrow());
    ASSERT_TRUE(hash);
    EXPECT_EQ(*hash, hash_of("2"));
    ASSERT_TRUE(writer.finish());
    shrunk.content = std::string(there, 's') + std::string(1000, '\0');
    EXPECT_EQ(unpack(contents(writer.release().borrow())).value(),
              (std::vector{before, shrunk, after}));
  }
}

TEST_F(Tar, writer_stays_well_formed_when_content_cannot_be_read) {
  TarWriter writer(memory());
  const UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto added = writer.add_file(file("f", "12345").entry, directory.borrow());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Code::kPackFailed);
  EXPECT_EQ(added.error().sys_errno, EISDIR);
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(unpack(contents(writer.release().borrow())).value().size(), 1U);
}

TEST_F(Tar, writer_takes_no_more_than_the_size) {
  TarWriter writer(memory());
  Member grown = file("f", "123");
  const UniqueFd content = memory("123456");
  EXPECT_EQ(writer.add_file(grown.entry, content.borrow()).value(), hash_of("123"));
  ASSERT_TRUE(writer.finish());
  EXPECT_FALSE(writer.add(entry_of("d", EntryType::kDirectory)));
  EXPECT_FALSE(writer.finish());
  EXPECT_EQ(unpack(contents(writer.release().borrow())).value(), std::vector{grown});
}

TEST_F(Tar, writer_reports_a_full_disk_again_and_again) {
  TarWriter writer(UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  ASSERT_TRUE(writer.add(entry_of("d", EntryType::kDirectory)));
  for (int i = 0; i < 2; ++i) {
    const auto finished = writer.finish();
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code, Code::kNoSpace);
  }
  EXPECT_EQ(writer.add(entry_of("d", EntryType::kDirectory)).error().code, Code::kNoSpace);
}

// ---- other programs

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

// ---- broken input

// The archive of one entry with these records before it.
std::string with_records(const std::string& records, char type = 'x') {
  Entry announced = entry_of("x");
  announced.size = records.size();
  std::string bytes;
  EXPECT_TRUE(encode_header(announced, bytes));
  bytes[156] = type;
  const auto old = static_cast<unsigned>(std::stoul(bytes.substr(148, 6), nullptr, 8));
  std::array<char, 8> sum;
  (void)std::snprintf(sum.data(), sum.size(), "%06o",
                      old + static_cast<unsigned char>(type) - static_cast<unsigned char>('0'));
  bytes.replace(148, 7, std::string(sum.data(), 7));
  bytes += records + std::string(tar_padding(records.size()), '\0');
  EXPECT_TRUE(encode_header(entry_of("f"), bytes));
  return bytes + std::string(2 * kTarBlock, '\0');
}

TEST_F(TarReading, applies_records) {
  EXPECT_EQ(unpack(with_records("9 path=a\n")).value().at(0).entry.path, "a");
  EXPECT_EQ(unpack(with_records("9 path=a\n", 'g')).value().at(0).entry.path, "a");
  EXPECT_EQ(unpack(with_records("9 path=a\n9 path=b\n")).value().at(0).entry.path, "b");
  EXPECT_EQ(unpack(with_records("9 path=a\n8 path=\n")).value().at(0).entry.path, "f");
  EXPECT_EQ(unpack(with_records("18 unknown.key=ab\n")).value().at(0).entry.path, "f");
  const Timestamp time =
      unpack(with_records("22 mtime=-1.1234567899\n")).has_value() ? Timestamp{} : Timestamp{1, 0};
  EXPECT_EQ(time.seconds, 1) << "a record whose length is wrong";
  EXPECT_EQ(unpack(with_records("23 mtime=-1.1234567899\n")).value().at(0).entry.mtime,
            (Timestamp{-2, 876543211}));
}

TEST_F(TarReading, refuses_bad_records) {
  for (const std::string records :
       {"9 path=a", "8 path=a\n", "11 path=a\n", "path=a\n", " 9 path=a\n", "0 path=a\n", "3 \n",
        "5 ab\n", "5 =a\n", "99999999999999999999 path=a\n", "10 size=a\n", "11 size=-1\n",
        "30 size=18446744073709551615\n", "11 mtime=x\n", "32 mtime=99999999999999999999.0\n",
        "10 path=/\n", "22 GNU.sparse.major=1\n"}) {
    const auto read = unpack(with_records(records));
    ASSERT_FALSE(read) << records;
    EXPECT_EQ(read.error().code, Code::kUnpackFailed);
    EXPECT_NE(read.error().message().find("byte "), std::string::npos);
  }
  EXPECT_FALSE(unpack(with_records(std::string("11 path=a\0b\n", 12))));
  EXPECT_FALSE(unpack(with_records(std::string(kMaxPaxRecords + 1, 'x'))));
}

TEST_F(TarReading, reads_binary_numbers_within_64_bits) {
  // Of the field at `offset` in a header: decode_header's answer when it is `bytes`.
  const auto decode = [](size_t offset, const std::string& bytes) {
    std::string header;
    EXPECT_TRUE(encode_header(entry_of("f"), header));
    header.replace(offset, bytes.size(), bytes);
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < header.size(); ++i) {
      if (i < 148 || i >= 156) sum += static_cast<unsigned char>(header[i]);
    }
    std::array<char, 8> text;
    (void)std::snprintf(text.data(), text.size(), "%06o", sum);
    header.replace(148, 7, std::string(text.data(), 7));
    return decode_header(std::span<const uint8_t, kTarBlock>(
        reinterpret_cast<const uint8_t*>(header.data()), kTarBlock));
  };
  const std::string ones(11, '\xFF');
  EXPECT_EQ(decode(136, "\xFF" + ones).value().entry.mtime.seconds, -1);
  EXPECT_FALSE(decode(124, "\xFF" + ones));  // a negative size
  EXPECT_EQ(
      decode(124, std::string("\x80\0\0\0\x7F", 5) + std::string(7, '\xFF')).value().entry.size,
      static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  EXPECT_FALSE(decode(124, std::string("\x80\0\0\0\x80", 5) + std::string(7, '\0')));
  EXPECT_FALSE(decode(124, "\xBF" + ones));
  EXPECT_EQ(decode(108, std::string("\x80\0\0\0\xFF\xFF\xFF\xFE", 8)).value().entry.uid,
            4294967294U);
  EXPECT_FALSE(decode(124, "0000000000x"));
}

TEST_F(TarReading, refuses_other_formats) {
  for (const std::string& bytes :
       {std::string(), std::string(511, '\0'), std::string(512, '\0'), std::string(2048, 'a'),
        std::string(512, '\0') + std::string(512, 'a')}) {
    const auto read = unpack(bytes);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Code::kUnpackFailed);
  }
  EXPECT_TRUE(unpack(std::string(1024, '\0')).value().empty());
}

TEST_F(TarReading, refuses_every_truncation) {
  const std::string bytes = pack({file("a", "content"), file(std::string(300, 'b'), "more")});
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto read = unpack(bytes.substr(0, size));
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, Code::kUnpackFailed) << size;
  }
  // A file that is shorter than it was said to be.
  const UniqueFd in = memory(bytes.substr(0, 700));
  TarReader reader(in.borrow(), bytes.size());
  EXPECT_TRUE(reader.next());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
}

TEST_F(TarReading, survives_every_flip) {
  const std::string bytes = pack({file("a", "content"),
                                  file(std::string(300, 'b'), "more"),
                                  {entry_of("l", EntryType::kSymlink, "a"), ""}});
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const unsigned mask : {0x01U, 0x08U, 0x10U, 0x80U, 0xFFU}) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ mask);
      const auto read = unpack(flipped);
      if (!read) {
        EXPECT_EQ(read.error().code, Code::kUnpackFailed) << at;
      } else {
        EXPECT_EQ(read->size(), 3U) << at;
      }
    }
  }
}

TEST_F(TarReading, may_skip_content_and_copy_twice) {
  const std::string bytes = pack({file("a", std::string(700'000, 'a')), file("b", "bb")});
  const UniqueFd in = memory(bytes);
  TarReader reader(in.borrow(), bytes.size());
  EXPECT_FALSE(reader.content_offset());
  ASSERT_TRUE(reader.next().value().has_value());
  EXPECT_EQ(reader.content_offset().value(), kTarBlock);
  ASSERT_TRUE(reader.next().value().has_value());
  const UniqueFd out = memory();
  ASSERT_TRUE(reader.copy_content(out.borrow()));
  ASSERT_TRUE(reader.copy_content(out.borrow()));
  EXPECT_EQ(contents(out.borrow()), "bbbb");
  EXPECT_FALSE(reader.next().value().has_value());
  EXPECT_FALSE(reader.next().value().has_value());
  EXPECT_FALSE(reader.copy_content(out.borrow()));
}

}  // namespace
}  // namespace backupkit
