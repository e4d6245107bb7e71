// Descriptors under way between the extension, the service and a client, where there is little room
// for them: the real service with the real client.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "native/io/process.h"
#include "native/io/unix_socket.h"
#include "native/protocol/wire.h"
#include "tests/native/flow_run.h"

namespace backupkit {
namespace {

TEST_F(Flow, five_thousand_files_reach_a_client_that_has_64_descriptors_and_closes_them_late) {
  constexpr size_t kFiles = 5000;
  add_bundle("app", kFiles);
  limit(0, 64);
  start();
  const auto before = descriptors_of_the_service();
  append({"app"});
  std::deque<Handed> open;
  for (bool last = false; !last;) {
    auto file = next_file();
    ASSERT_TRUE(file.has_value());
    take(*file);
    last = file->uri == "manage.json";
    open.push_back(std::move(*file));
    if (open.size() < 30 && !last) continue;
    come(std::move(open.front()));
    open.pop_front();
  }
  for (auto& file : open) come(std::move(file));
  await_end("app");
  check("app", kFiles);
  release();
  EXPECT_EQ(descriptors_of_the_service(), before);
}

TEST_F(Flow, what_found_no_room_at_the_client_comes_again_when_there_is_room) {
  constexpr size_t kFiles = 100;
  add_bundle("app", kFiles);
  limit(0, 64);
  start();
  append({"app"});
  while (files_.empty()) ASSERT_TRUE(receive());
  std::set<std::string> came;
  auto filling = fill_up(files_.front().fd);
  for (auto& file : std::exchange(files_, {})) {
    take(file);
    came.insert(file.uri);
    filling.push_back(std::move(file.fd));
  }
  // Each message is a file that is refused now, over and over.
  const auto many = messages_ + 40;
  while (messages_ < many) ASSERT_TRUE(receive());
  EXPECT_EQ(files_.size(), 0U);
  filling.clear();
  receive_each_once(kFiles, std::move(came));
  await_end("app");
}

TEST_F(Flow, a_client_with_room_for_one_descriptor_gets_every_file) {
  constexpr size_t kFiles = 40;
  configure(R"(, "maxExtensions": 1)");
  add_bundle("app", kFiles);
  limit(0, 64);
  start();
  append({"app"});
  auto filling = fill_up(UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
  // All that may be under way is refused, and comes again at one time.
  const auto many = messages_ + 40;
  while (messages_ < many) ASSERT_TRUE(receive());
  filling.pop_back();
  receive_each_once(kFiles);
  await_end("app");
}

TEST_F(Flow, a_service_without_room_goes_on_when_there_is_room) {
  constexpr size_t kFiles = 200;
  configure(R"(, "maxExtensions": 1)");
  add_bundle("app", kFiles);
  start();
  const auto before = descriptors_of_the_service();
  append({"app"});
  std::vector<Handed> held;
  for (size_t i = 0; i < kMaxWindow; ++i) {
    auto file = next_file();
    ASSERT_TRUE(file.has_value());
    held.push_back(std::move(*file));
  }
  const auto usual = limit_of(service()).rlim_cur;
  limit(service(), before);
  for (const auto& file : held) take(file);
  // It answers, and no file has come for want of room.
  for (int i = 0; i < 10; ++i) ask_version();
  EXPECT_EQ(files_.size(), 0U);
  limit(service(), usual);
  receive_all("app", kFiles, std::move(held));
  release();
  EXPECT_EQ(descriptors_of_the_service(), before);
}

TEST_F(Flow, a_service_with_room_for_few_files_at_a_time_sends_all_of_them) {
  constexpr size_t kFiles = 100;
  add_bundle("app", kFiles);
  start();
  const auto before = descriptors_of_the_service();
  append({"app"});
  auto first = next_file();
  ASSERT_TRUE(first.has_value());
  // Beside the socket and the pidfd of the extension: one file, and its duplicate.
  limit(service(), before + 4);
  take(*first);
  std::vector<Handed> seen;
  seen.push_back(std::move(*first));
  receive_all("app", kFiles, std::move(seen));
}

TEST_F(Flow, files_that_nobody_takes_leave_a_small_service_room_to_begin_bundles) {
  std::vector<std::string> bundles;
  for (const auto* name : {"a", "b", "c", "d", "e", "f"}) {
    bundles.emplace_back(name);
    add_bundle(name, 40);
  }
  start_as_nobody(48);
  append(bundles);
  // The second and the third keep all that they may have under way, while others come and go.
  std::vector<Handed> held;
  while (begins_.size() < bundles.size()) {
    auto file = next_file();
    ASSERT_TRUE(file.has_value());
    if (file->bundle == "b" || file->bundle == "c") {
      held.push_back(std::move(*file));
      continue;
    }
    take(*file);
    come(std::move(*file));
  }
  for (const auto& file : held) take(file);
  for (auto& file : held) come(std::move(file));
  for (const auto& name : bundles) receive_all(name, 40);
  for (const auto& [name, code] : begins_) EXPECT_EQ(code, 0) << name;
}

TEST_F(Flow, at_most_64_files_are_not_yet_taken) {
  constexpr size_t kFiles = 200;
  configure(R"(, "maxExtensions": 1)");
  add_bundle("app", kFiles);
  start();
  append({"app"});
  std::vector<Handed> held;
  for (size_t i = 0; i < kMaxWindow; ++i) {
    auto file = next_file();
    ASSERT_TRUE(file.has_value());
    held.push_back(std::move(*file));
  }
  for (int i = 0; i < 100; ++i) ask_version();
  EXPECT_EQ(files_.size(), 0U) << "there is no credit for more";
  // What was closed and not taken counts; what was taken makes room for as many.
  settle(held[0], kClosed);
  take(held[1]);
  held.push_back(next_file().value());
  for (int i = 0; i < 100; ++i) ask_version();
  EXPECT_EQ(files_.size(), 0U);
  for (size_t i = 0; i < held.size(); ++i) {
    if (i != 1) take(held[i]);
  }
  receive_all("app", kFiles, std::move(held));
}

// Descriptors that are under way, charged to the user nobody, or to this one where it is not root.
std::pair<UniqueFd, UniqueFd> put_under_way(size_t count) {
  auto ends = seqpacket_pair().value();
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && !become(kNobody, kNobody)) ::_exit(1);
    const std::vector<BorrowedFd> fds(count, BorrowedFd(ends.first.get()));
    const Bytes byte{0};
    auto sent = send_message(ends.first.borrow(), byte, fds);
    ::_exit(sent.has_value() && *sent == Sent::kAll ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return ends;
}

TEST_F(Flow, too_many_descriptors_under_way_are_a_pause) {
  constexpr size_t kFiles = 100;
  add_bundle("app", kFiles);
  start_as_nobody(200);
  append({"app"});
  auto first = next_file();
  ASSERT_TRUE(first.has_value());
  // ETOOMANYREFS for whoever has no more than 200 descriptors: the service and its extension.
  std::optional under_way = put_under_way(250);
  take(*first);
  std::vector<Handed> held;
  held.push_back(std::move(*first));
  // What was sent before still comes.
  while (held.size() < 5 && !files_.empty()) held.push_back(next_file().value());
  under_way.reset();
  for (size_t i = 1; i < held.size(); ++i) take(held[i]);
  receive_all("app", kFiles, std::move(held));
}

TEST_F(Flow,
       a_backup_that_begins_with_too_many_descriptors_under_way_goes_on_when_there_are_fewer) {
  constexpr size_t kFiles = 20;
  add_bundle("app", kFiles);
  start_as_nobody(200);
  std::optional under_way = put_under_way(250);
  append({"app"});
  for (int i = 0; i < 10; ++i) ask_version();
  EXPECT_TRUE(begins_.empty());
  under_way.reset();
  receive_all("app", kFiles);
}

TEST_F(Flow, a_bundle_that_is_alone_has_as_many_files_under_way_as_the_client_takes) {
  add_bundle("app", 100);
  start();
  append({"app"});
  while (files_.size() < kMaxWindow) ASSERT_TRUE(receive());
  ask_version();
  EXPECT_EQ(files_.size(), kMaxWindow);
  files_.clear();
  release();
}

TEST_F(Flow, bundles_beside_each_other_share_what_the_client_takes) {
  constexpr size_t kShare = kMaxWindow / 3;
  for (const auto* name : {"a", "b", "c", "d"}) add_bundle(name, 100);
  start();
  append({"a", "b", "c", "d"});
  while (files_.size() < 3 * kShare) ASSERT_TRUE(receive());
  ask_version();
  std::map<std::string, size_t> under_way;
  for (const auto& file : files_) ++under_way[file.bundle];
  EXPECT_EQ(under_way,
            (std::map<std::string, size_t>{{"a", kShare}, {"b", kShare}, {"c", kShare}}));
  files_.clear();
  release();
}

TEST_F(Flow, a_list_of_the_greatest_length_is_told_bundle_by_bundle) {
  start();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < kMaxBundles; ++i) names.push_back("not.installed" + std::to_string(i));
  append(names);
  while (begins_.size() < kMaxBundles) ASSERT_TRUE(receive()) << begins_.size() << " were told";
  release();
}

// What a program that is started now has open of ours.
std::vector<std::string> inherited() {
  std::vector<std::string> ours;
  FILE* lines = ::popen("for fd in /proc/self/fd/*; do readlink \"$fd\" || true; done", "r");
  std::array<char, 4096> line{};
  while (std::fgets(line.data(), line.size(), lines) != nullptr) {
    const std::string_view target = line.data();
    for (const auto* kind : {"socket:", "memfd:", "anon_inode:", "/device/", "(deleted)"}) {
      if (target.contains(kind)) ours.emplace_back(target);
    }
  }
  EXPECT_EQ(::pclose(lines), 0);
  return ours;
}

TEST_F(Flow, what_another_thread_starts_meanwhile_inherits_nothing) {
  constexpr size_t kFiles = 30;
  start();
  const auto before = inherited();
  const std::vector<std::string> bundles{"a", "b", "c", "d", "e"};
  for (const auto& bundle : bundles) add_bundle(bundle, kFiles);
  std::atomic<bool> ended = false;
  std::jthread starter([&] {
    while (!ended) EXPECT_EQ(inherited(), before);
  });
  append(bundles);
  for (const auto& bundle : bundles) receive_all(bundle, kFiles);
  release();
  ended = true;
}

}  // namespace
}  // namespace backupkit
