// A device with little memory. BACKUPKIT_FAULTS=all: a bundle of 2 GiB instead of 128 MiB.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "native/base/sanitized.h"
#include "native/io/process.h"
#include "native/io/unix_socket.h"
#include "tests/native/census.h"
#include "tests/native/memory_group.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMemory = uint64_t{32} << 20;  // for service and extension together
constexpr size_t kStep = size_t{64} << 10;

class SmallDevice : public Census {
 protected:
  void SetUp() override {
    Census::SetUp();
    fs::create_directories(device() / "etc/backupkit/bundles");
    fs::create_directories(sandbox() / "small");
    std::ofstream(device() / "etc/backupkit/service.json") << R"({"maxSendRate": 0})";
    std::ofstream(device() / "etc/backupkit/bundles/app.json")
        << R"({"name": "app", "sandbox": "data/app",
               "backup": {"allowToBackupRestore": true, "includes": ["*"]}})";
  }

  [[nodiscard]] fs::path device() const { return scratch_ / "device"; }
  [[nodiscard]] fs::path sandbox() const { return device() / "data/app"; }

  // Half of it is one file, half are small ones.
  void make_bundle() {
    const char* const extent = std::getenv("BACKUPKIT_FAULTS");  // NOLINT(concurrency-mt-unsafe)
    const bool is_whole = extent != nullptr && std::string_view(extent) == "all";
    const uint64_t steps = (is_whole ? uint64_t{1} << 30 : uint64_t{64} << 20) / kStep;
    std::ofstream one(sandbox() / "one");
    for (uint64_t i = 0; i < steps; ++i) {
      const auto bytes = next_bytes();
      one << bytes;
      std::ofstream(sandbox() / "small" / std::to_string(i)) << bytes;
    }
  }

  std::string next_bytes() {
    std::vector<uint64_t> words(kStep / sizeof(uint64_t));
    for (auto& word : words) word = random_();
    return {reinterpret_cast<const char*>(words.data()), kStep};
  }

  // The exit code of `drive`, which itself may have as much memory as it likes.
  int drive(const std::string& what, const MemoryGroup& group) const {
    const auto backupd = scratch_ / "backupd";
    group.write_entry(backupd, BACKUPKIT_BACKUPD);
    const auto files = scratch_ / "files";
    fs::create_directories(files);
    const auto ends = seqpacket_pair().value();
    auto child = spawn(BACKUPKIT_DRIVE, {what, backupd, device(), files}, ends.second.borrow());
    return reap(child.value()).value();
  }

  const ScratchDirectory scratch_;
  std::mt19937_64 random_;
};

std::string text_of(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST_F(SmallDevice, of_32_MiB_backs_up_and_restores_what_is_many_times_as_big) {
  const MemoryGroup group(kMemory);
  if (!group.why().empty()) GTEST_SKIP() << group.why();
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes more memory than that";
  make_bundle();
  ASSERT_EQ(drive("backup", group), 0);
  const auto before = scratch_ / "before";
  fs::rename(sandbox(), before);
  fs::create_directory(sandbox());
  ASSERT_EQ(drive("restore", group), 0);
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(before)) {
    if (!entry.is_regular_file()) continue;
    const auto restored = sandbox() / entry.path().lexically_relative(before);
    ASSERT_TRUE(text_of(entry.path()) == text_of(restored)) << restored;
    ++files;
  }
  EXPECT_GT(files, 1000U);
}

}  // namespace
}  // namespace backupkit
