#include "native/extension/read_ahead.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "native/archive/tar_encode.h"
#include "native/base/hash.h"
#include "native/extension/content.h"
#include "tests/native/backup_run.h"
#include "tests/native/census.h"
#include "tests/native/tree.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr int kMostWalks = 1000;
const Rules kEverything = Rules::make({"*"}, {"*.tmp"});

class ReadAheadTest : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    scratch_.emplace(memory_directory());
    for (int i = 0; i < 600; ++i) {
      const auto folder = top() / ("folder" + std::to_string(i % 45)) / "below";
      make_file(folder / ("file" + std::to_string(i)),
                std::string(size_t(i) * 7, char('a' + i % 26)));
      if (i % 10 == 0) fs::create_symlink("nowhere", folder / ("link" + std::to_string(i)));
      if (i % 11 == 0) make_file(folder / (std::to_string(i) + ".tmp"), "left out");
    }
    fs::create_hard_link(top() / "folder1/below/file1", top() / "second name");
    // What changed within the clock's grain before the look is read by the backup itself.
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(40);
    while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
    root_.reset(::open(top().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  void TearDown() override {
    root_.reset();
    scratch_.reset();
    Census::TearDown();
  }

  [[nodiscard]] fs::path top() const { return *scratch_ / "top"; }

  // What is handed on, in order: paths, and "-" and a path for what was missed.
  std::vector<std::string> walk(ReadAhead& ahead) {
    seen_.clear();
    const ScanHandlers handlers{
        .visit = [&](const ScanEntry& found) { return ahead.visit(found); },
        .miss = [&](const Missed& missed) { return ahead.miss(missed); },
    };
    walked_ = scan(root_.borrow(), kEverything, handlers);
    if (walked_) walked_ = ahead.finish();
    return seen_;
  }

  [[nodiscard]] ReadAhead::Handlers handlers() {
    return {[this](const ScanEntry& found, ReadFile* read) { return visit(found, read); },
            [this](const Missed& missed) {
              seen_.push_back("-" + missed.path);
              return Result<void>();
            },
            is_not_waited_for};
  }

  static Result<void> is_not_waited_for() { return {}; }

  Result<void> visit(const ScanEntry& found, const ReadFile* read) {
    seen_.push_back(found.path);
    if (read == nullptr) return {};
    ++read_;
    const auto encoded = read->encoded.bytes;
    std::ifstream file(top() / found.path);
    const std::string content(std::istreambuf_iterator<char>(file), {});
    std::string entry;
    EXPECT_TRUE(encode_header(header_of(found), entry));
    entry += content;
    entry.append(static_cast<size_t>(tar_padding(content.size())), '\0');
    EXPECT_EQ(std::string(encoded.begin(), encoded.end()), entry) << found.path;
    const auto* bytes = reinterpret_cast<const uint8_t*>(content.data());
    EXPECT_EQ(read->hash, hash_of(std::span(bytes, content.size()))) << found.path;
    return {};
  }

  static ReadAhead::Options with_threads(size_t threads) {
    return {
        .limit = 4000, .labels = Labels::kKeep, .hashes = true, .reads = true, .threads = threads};
  }

  std::optional<ScratchDirectory> scratch_;
  UniqueFd root_;
  std::vector<std::string> seen_;
  size_t read_ = 0;
  Result<void> walked_;
};

TEST_F(ReadAheadTest, entries_come_in_the_order_of_the_walk_with_what_was_read) {
  ReadAhead none(with_threads(0), handlers());
  const auto plain = walk(none);
  EXPECT_EQ(read_, 0U);
  ASSERT_GT(plain.size(), 800U);
  for (const size_t threads : {size_t{1}, size_t{3}}) {
    read_ = 0;
    // On a busy machine a walk may be over before a thread of it has begun.
    for (int walks = 0; walks < kMostWalks && read_ == 0; ++walks) {
      ReadAhead ahead(with_threads(threads), handlers());
      ASSERT_EQ(walk(ahead), plain);
    }
    EXPECT_GT(read_, 0U);
  }
}

TEST_F(ReadAheadTest, who_hands_on_says_so_before_it_waits_for_the_walk) {
  auto kept = handlers();
  std::promise<void> idle;
  bool was_idle = false;
  kept.idle = [&] {
    if (!std::exchange(was_idle, true)) idle.set_value();
    return Result<void>();
  };
  ReadAhead ahead(with_threads(1), std::move(kept));
  ScanEntry found;
  found.mode = S_IFDIR | 0700;
  for (int i = 0; i < 200; ++i) {
    found.path = "directory" + std::to_string(i);
    ASSERT_TRUE(ahead.visit(found));
  }
  ASSERT_EQ(idle.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  ASSERT_TRUE(ahead.finish());
}

TEST_F(ReadAheadTest, an_error_of_the_idle_thread_ends_the_walk) {
  auto kept = handlers();
  kept.idle = [] { return failure(Code::kClosed, "as the test wants it"); };
  ReadAhead ahead(with_threads(1), std::move(kept));
  EXPECT_EQ(walk(ahead).empty(), false);
  EXPECT_EQ(walked_.error().code, Code::kClosed);
}

TEST_F(ReadAheadTest, what_was_looked_at_as_another_file_is_not_handed_on_as_read) {
  ReadAhead ahead(with_threads(2), handlers());
  const UniqueFd folder(
      ::open((top() / "folder1/below").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status{};
  ASSERT_EQ(::fstatat(folder.get(), "file46", &status, 0), 0);
  for (int i = 0; i < 2000; ++i) {
    ScanEntry found;
    fill(found, status);
    found.path = "folder1/below/file46";
    found.name = "file46";
    found.parent = folder.borrow();
    switch (i % 4) {
      case 0:
        found.mtime.nanoseconds ^= 1;
        break;
      case 1:
        --found.size;
        break;
      case 2:
        ++found.inode;
        break;
      default:
        found.name = "file 46";
    }
    ASSERT_TRUE(ahead.visit(found));
  }
  ASSERT_TRUE(ahead.finish());
  EXPECT_EQ(seen_.size(), 2000U);
  EXPECT_EQ(read_, 0U);
}

TEST_F(ReadAheadTest, an_error_of_the_backup_ends_it_wherever_the_threads_are) {
  for (size_t last = 100; last < 700; last += 100) {
    size_t count = 0;
    auto failing = handlers();
    failing.visit = [&](const ScanEntry&, ReadFile*) -> Result<void> {
      if (++count < last) return {};
      return failure(Code::kIo, "the last one");
    };
    ReadAhead ahead(with_threads(2), std::move(failing));
    (void)walk(ahead);
    ASSERT_FALSE(walked_.has_value());
    EXPECT_EQ(walked_.error().code, Code::kIo);
    EXPECT_EQ(count, last);
  }
}

TEST_F(ReadAheadTest, without_descriptors_to_spare_nothing_is_lost) {
  ReadAhead none(with_threads(0), handlers());
  const auto plain = walk(none);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit tight{static_cast<rlim_t>(root_.get() + 6), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  {
    auto noting = handlers();
    noting.visit = [this](const ScanEntry& found, ReadFile*) {
      seen_.push_back(found.path);
      return Result<void>();
    };
    ReadAhead ahead(with_threads(2), std::move(noting));
    EXPECT_EQ(walk(ahead), plain);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(ReadAheadTest, the_parts_are_the_same_with_and_without_threads) {
  BackupPlan plan;
  plan.sandbox = top().string();
  if (ReadAhead::usual_threads() == 0) GTEST_SKIP() << "there is one processor only";
  const auto with = BackupRun::of(plan);
  cpu_set_t before{};
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  cpu_set_t one{};
  CPU_SET(::sched_getcpu(), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(ReadAhead::usual_threads(), 0U);
  const auto without = BackupRun::of(plan);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(before), &before), 0);
  EXPECT_EQ(with.uris, without.uris);
  EXPECT_TRUE(with.files == without.files);
  EXPECT_EQ(with.total("stored"), without.total("stored"));
}

}  // namespace
}  // namespace backupkit
