#include "native/extension/journal.h"

#include <gtest/gtest.h>

namespace backupkit {
namespace {

Journal example() {
  Journal journal;
  journal.settings = R"({"name":"com.example.notes"})";
  journal.keeps_directory = true;
  journal.steps = {{"a", 12, 0}, {"b;\n\xff", 0, 13}, {"c/d", UINT64_MAX, 14}};
  Metadata before{0755, 0, 4294967295U, {-5, 999'999'999}, {{"user.x", std::string("\0\xff", 2)}}};
  journal.changes = {{".", before, std::nullopt}, {"c", before, Metadata{07777, 1, 2, {3, 4}, {}}}};
  return journal;
}

TEST(Journal, reads_what_it_writes) {
  EXPECT_EQ(read_journal(write_journal(example())).value(), example());
  EXPECT_EQ(read_journal(write_journal({})).value(), Journal{});
}

TEST(Journal, no_truncation_and_no_flipped_bit_of_it_is_read) {
  const auto text = write_journal(example());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(read_journal(text.substr(0, size))) << size;
  }
  for (size_t at = 0; at < text.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto flipped = text;
      flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ (1U << bit));
      EXPECT_FALSE(read_journal(flipped)) << "bit " << bit << " of byte " << at;
    }
  }
  EXPECT_FALSE(read_journal(text + text));
}

}  // namespace
}  // namespace backupkit
