// What the tests of archives have in common.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "backupkit/unique_fd.h"
#include "native/archive/tar_header.h"
#include "native/archive/tar_reader.h"
#include "native/archive/tar_writer.h"
#include "native/base/hash.h"

namespace backupkit {

struct Member {
  Entry entry;
  std::string content;
  friend bool operator==(const Member&, const Member&) = default;
};

inline UniqueFd memory(const std::string& bytes = "") {
  UniqueFd fd(::memfd_create("tar_test", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return fd;
}

inline std::string contents(BorrowedFd fd) {
  struct stat status{};
  EXPECT_EQ(::fstat(fd.get(), &status), 0);
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), status.st_size);
  return bytes;
}

// The zeros behind it in an archive.
inline std::string padding_of(const std::string& bytes) {
  return std::string(static_cast<size_t>(tar_padding(bytes.size())), '\0');
}

inline std::string hash_of(const std::string& bytes) {
  Hasher hasher;
  hasher.update({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  return hasher.finish();
}

inline Entry entry_of(std::string path, EntryType type = EntryType::kFile,
                      std::string target = "") {
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

inline Member file(std::string path, std::string content) {
  Member member{entry_of(std::move(path)), std::move(content)};
  member.entry.size = member.content.size();
  return member;
}

// The archive of `members`, checked while it is written.
inline std::string pack(const std::vector<Member>& members) {
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

inline Result<std::vector<Member>> unpack(const std::string& bytes) {
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
inline std::vector<Member> everything() {
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
  all.push_back(file("d/attributes", "a"));
  all.back().entry.xattrs = {{"user.binary", std::string("\0\xFF\n=", 4)}, {"user.a=b%c", ""}};
  all.push_back(file("d/setuid", "s"));
  all.back().entry.mode = 06755;
  return all;
}

}  // namespace backupkit
