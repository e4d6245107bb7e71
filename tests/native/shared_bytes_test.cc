#include "native/base/shared_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "tests/native/census.h"

namespace backupkit {
namespace {

using SharedBytesTest = Census;

TEST_F(SharedBytesTest, what_is_kept_stays_as_it_was_written_until_nobody_keeps_it) {
  std::mt19937 random(11);
  std::optional<BlockPool> pool(std::in_place);
  std::optional<BlockWriter> writer(*pool);
  std::vector<SharedBytes> kept;
  std::vector<uint8_t> values;
  for (int i = 0; i < 2000; ++i) {
    const size_t size = i % 100 == 0 ? BlockPool::kBlock + 1 : random() % 20'000;
    const auto room = writer->room(size);
    ASSERT_EQ(room.size(), size);
    const auto value = static_cast<uint8_t>(random());
    std::ranges::fill(room, value);
    if (i % 3 == 0) continue;
    kept.push_back(writer->keep());
    values.push_back(value);
    if (i % 7 != 0) continue;
    const size_t gone = random() % kept.size();
    kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(gone));
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(gone));
  }
  writer.reset();
  pool.reset();
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_TRUE(
        std::ranges::all_of(kept[i].bytes, [&](uint8_t byte) { return byte == values[i]; }));
  }
}

TEST_F(SharedBytesTest, pieces_lie_behind_one_another_and_a_block_is_used_again) {
  BlockPool pool;
  const uint8_t* first = nullptr;
  {
    BlockWriter writer(pool);
    (void)writer.room(100);
    const SharedBytes one = writer.keep();
    (void)writer.room(7);  // and not kept
    (void)writer.room(50);
    const SharedBytes two = writer.keep();
    EXPECT_EQ(two.bytes.data(), one.bytes.data() + one.bytes.size());
    EXPECT_TRUE(one.keeper == two.keeper);
    first = one.bytes.data();
  }
  BlockWriter next(pool);
  EXPECT_EQ(next.room(1).data(), first);
}

}  // namespace
}  // namespace backupkit
