// Limits that count in hundred thousands, met without a conversation.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "native/service/catalog.h"
#include "native/service/session.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

// A session whose client is behind, so that nothing begins.
class Limits : public Census {
 protected:
  Limits() { std::filesystem::create_directories(scratch_ / "etc/backupkit/bundles"); }

  void write_bundle(const std::string& name, const std::string& text) {
    std::ofstream(scratch_ / ("etc/backupkit/bundles/" + name + ".json")) << text;
  }

  std::unique_ptr<Session> session_of(SessionKind kind) {
    return std::make_unique<Session>(
        kind, scratch_.fd(), settings_, *loop_, metrics_, kMaxWindow,
        Session::Hooks{[](const Frame&) {}, [] { return false; }, [] {}});
  }

  [[nodiscard]] BorrowedFd root() const { return scratch_.fd(); }

 private:
  ScratchDirectory scratch_;
  std::unique_ptr<Loop> loop_ = Loop::make().value();
  ServiceSettings settings_;
  Metrics metrics_;
};

std::string bundle_text(const std::string& name) {
  return R"({"name": ")" + name +
         R"(", "sandbox": "data", "backup": {"allowToBackupRestore": true}})";
}

std::vector<BundleRequest> requests(size_t count) {
  std::vector<BundleRequest> list(count);
  for (size_t i = 0; i < count; ++i) list[i].name = "n" + std::to_string(i);
  return list;
}

TEST_F(Limits, a_session_has_at_most_131072_bundles) {
  constexpr size_t kMost = size_t{1} << 17U;
  const auto session = session_of(SessionKind::kIncremental);
  for (size_t left = kMost; left > 0;) {
    const size_t count = std::min<size_t>(left, kMaxBundles);
    ASSERT_TRUE(session->append(requests(count), ""));
    left -= count;
  }
  const auto more = session->append(requests(1), "");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::kOutOfMemory);
  EXPECT_EQ(more.error().context, "a session has at most 131072 bundles");
}

TEST_F(Limits, a_million_files_may_be_asked_for_beforehand) {
  write_bundle("app", bundle_text("app"));
  const auto session = session_of(SessionKind::kRestore);
  std::vector<BundleRequest> list(1);
  list[0].name = "app";
  ASSERT_TRUE(session->append(std::move(list), R"({"bundleInfos": [{"name": "app"}]})"));
  for (int i = 0; i < 1'000'000; ++i) ASSERT_TRUE(session->file_handle("app", "f"));
  const auto more = session->file_handle("app", "f");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::kOutOfMemory);
  EXPECT_EQ(more.error().context, "at most 1000000 files may be asked for beforehand for 'app'");
}

TEST_F(Limits, a_bundle_file_has_at_most_1_MiB) {
  auto text = bundle_text("app");
  text.resize(size_t{1} << 20U, ' ');
  write_bundle("app", text);
  EXPECT_TRUE(read_bundle(root(), "app"));
  write_bundle("app", text + " ");
  const auto longer = read_bundle(root(), "app");
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().context,
            "etc/backupkit/bundles/app.json: it has more than 1048576 bytes");
}

}  // namespace
}  // namespace backupkit
