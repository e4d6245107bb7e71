#include "native/archive/tar_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/archive/tar_encode.h"
#include "native/base/shared_bytes.h"
#include "tests/native/census.h"
#include "tests/native/tar_files.h"

namespace backupkit {
namespace {

class Tar : public Census {};

// The member as it stands in an archive.
SharedBytes encoded(const Member& member) {
  const auto bytes = std::make_shared<std::string>();
  EXPECT_TRUE(encode_header(member.entry, *bytes));
  *bytes += member.content;
  *bytes += padding_of(member.content);
  return {{reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size()}, bytes};
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

TEST_F(Tar, a_path_has_at_most_1_MiB) {
  const Member longest = file(std::string(kMaxTarPath - 1, 'x'), "content");
  EXPECT_EQ(unpack(pack({longest})).value(), std::vector{longest});
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

TEST_F(Tar, what_was_taken_back_leaves_no_trace) {
  std::mt19937 random(7);
  const std::string huge(2'500'000, 'h');
  const std::string large(262'144 - 512, 'l');  // with its header just the buffer
  const std::string small(3'000, 's');
  TarWriter writer(memory());
  std::vector<Member> kept;
  for (int i = 0; i < 200; ++i) {
    const std::string& content = i % 20 == 0 ? huge : i % 20 == 1 ? large : small;
    const Member member = file("f" + std::to_string(i), content);
    const bool is_encoded = random() % 2 == 0;
    const bool shrank = !is_encoded && random() % 5 == 0;
    if (is_encoded) {
      EXPECT_TRUE(writer.add_encoded(encoded(member)));
    } else {
      const auto added =
          writer.add_file(member.entry, memory(shrank ? content.substr(1) : content).borrow());
      EXPECT_EQ(added.has_value(), !shrank);
    }
    if (shrank || random() % 3 == 0) {
      ASSERT_TRUE(writer.take_back());
    } else {
      kept.push_back(member);
    }
  }
  EXPECT_EQ(writer.entries(), kept.size());
  ASSERT_TRUE(writer.finish());
  const std::string archive = contents(writer.release().borrow());
  EXPECT_TRUE(archive == pack(kept));
  EXPECT_EQ(writer.digest(), hash_of(archive));
}

TEST_F(Tar, what_was_encoded_elsewhere_is_written_from_there) {
  const auto members = everything();
  TarWriter writer(memory());
  std::weak_ptr<const void> keeper;
  for (const Member& member : members) {
    SharedBytes entry = encoded(member);
    keeper = entry.keeper;
    ASSERT_TRUE(writer.add_encoded(std::move(entry)));
    EXPECT_FALSE(keeper.expired());
  }
  ASSERT_TRUE(writer.finish());
  EXPECT_TRUE(keeper.expired());
  EXPECT_EQ(writer.entries(), members.size());
  EXPECT_TRUE(contents(writer.release().borrow()) == pack(members));
  TarWriter refuses(memory());
  EXPECT_EQ(refuses.add_encoded({}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(refuses.size(), 0U);
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

}  // namespace
}  // namespace backupkit
