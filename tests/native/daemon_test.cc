#include <backupkit/client.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/io/process.h"
#include "native/io/seccomp.h"
#include "native/io/unix_socket.h"
#include "tests/native/census.h"
#include "tests/native/half_open.h"
#include "tests/native/in_child.h"
#include "tests/native/small_session.h"

namespace backupkit {
namespace {

using Daemon = Census;
using std::chrono::milliseconds;

constexpr milliseconds kShort{100};
constexpr milliseconds kLong{60'000};

// What a supervisor does: it makes a listening socket, and gives it to a backupd as descriptor 3.
class Supervisor {
 public:
  Supervisor() : listener_(listen_seqpacket(socket(), 0600).value()) {}
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor() {
    if (!backupd_.pidfd.is_open()) return;
    kill_child(backupd_);
    (void)reap(backupd_);  // a test that has failed already
  }

  [[nodiscard]] std::string socket() const { return root_ / "socket"; }

  // Before the start.
  void configure(const std::string& settings) const {
    std::filesystem::create_directories(root_ / "etc/backupkit");
    std::ofstream(root_ / "etc/backupkit/service.json") << settings;
  }

  // A bundle with one file.
  void install(const std::string& name) const {
    std::filesystem::create_directories(root_ / "etc/backupkit/bundles");
    std::filesystem::create_directories(root_ / name);
    std::ofstream(root_ / (name + "/file")) << "content";
    std::ofstream(root_ / ("etc/backupkit/bundles/" + name + ".json"))
        << R"({"name": ")" << name << R"(", "sandbox": ")" << name
        << R"(", "backup": {"allowToBackupRestore": true, "includes": ["*"]}})";
  }

  [[nodiscard]] pid_t pid() const { return backupd_.pid; }

  // The shell becomes backupd and keeps its own number, which `listen_pid` may say. The listener is
  // backupd's alone from now on: whoever waits to be accepted sees its end.
  void start(milliseconds idle, const std::string& listen_pid = "$$",
             const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "-c",     "LISTEN_FDS=1 LISTEN_PID=" + listen_pid + " exec \"$@\"",
        "sh",     BACKUPKIT_BACKUPD,
        "--root", root_.path(),
        "--idle", std::to_string(idle.count())};
    arguments.insert(arguments.end(), more.begin(), more.end());
    backupd_ = spawn("/bin/sh", arguments, listener_.borrow()).value();
    listener_.reset();
  }

  [[nodiscard]] bool ends_within(milliseconds time) const {
    pollfd end{.fd = backupd_.pidfd.get(), .events = POLLIN, .revents = 0};
    return ::poll(&end, 1, static_cast<int>(time.count())) == 1;
  }

  // Its exit status, or none where it has not ended in time.
  [[nodiscard]] std::optional<int> status() {
    if (!ends_within(kLong)) return std::nullopt;
    return reap(backupd_).value();
  }

 private:
  ScratchDirectory root_;
  UniqueFd listener_;
  Child backupd_;
};

TEST_F(Daemon, serves_on_the_socket_its_supervisor_passes) {
  Supervisor supervisor;
  supervisor.start(kLong);
  {
    const auto client = Client::connect(supervisor.socket());
    ASSERT_TRUE(client) << client.error().message();
    EXPECT_EQ((*client)->service_pid(), supervisor.pid());
  }
  ASSERT_EQ(::kill(supervisor.pid(), SIGTERM), 0);
  EXPECT_EQ(supervisor.status(), 0);
  EXPECT_TRUE(std::filesystem::exists(supervisor.socket())) << "it is the supervisor's";
}

TEST_F(Daemon, leaves_a_socket_that_is_passed_to_another_process_alone) {
  Supervisor supervisor;
  // Its own socket it cannot have: that it asks for one shows that it takes the other for no gift.
  supervisor.start(kLong, "1", {"--socket", "/proc/none/socket"});
  EXPECT_EQ(supervisor.status(), 1);
}

TEST_F(Daemon, ends_when_idle_but_not_while_a_client_is_connected) {
  Supervisor supervisor;
  // In the queue before backupd runs, so that no delay of this process counts as idle time.
  auto silent = connect_seqpacket(supervisor.socket()).value();
  supervisor.start(kShort);
  {
    const auto client = Client::connect(supervisor.socket());
    ASSERT_TRUE(client) << client.error().message();
    silent.reset();
    EXPECT_FALSE(supervisor.ends_within(10 * kShort)) << "with a client connected";
    EXPECT_TRUE((*client)->capabilities(1, true, {}));
    EXPECT_TRUE((*client)->await().value());
  }
  EXPECT_EQ(supervisor.status(), 0);
}

TEST_F(Daemon, ends_when_no_client_comes_within_the_idle_time) {
  Supervisor supervisor;
  supervisor.start(kShort);
  EXPECT_EQ(supervisor.status(), 0);
}

TEST_F(Daemon, refuses_an_idle_time_that_is_no_number) {
  for (const std::string wrong : {"", "-1", "1s", "99999999999"}) {
    auto ends = seqpacket_pair().value();
    auto child = spawn(BACKUPKIT_BACKUPD, {"--idle", wrong}, ends.second.borrow()).value();
    EXPECT_EQ(reap(child).value(), 2) << wrong;
  }
}

TEST_F(Daemon, refuses_a_level_that_it_does_not_know) {
  for (const std::string wrong : {"", "notice", "WARNING", "3"}) {
    auto ends = seqpacket_pair().value();
    auto child = spawn(BACKUPKIT_BACKUPD, {"--log-level", wrong}, ends.second.borrow()).value();
    EXPECT_EQ(reap(child).value(), 2) << wrong;
  }
}

// What a backupd without a root logs whose $JOURNAL_STREAM is `journal` of its stderr.
std::string logged(const std::function<std::string(const struct stat&)>& journal) {
  const ScratchDirectory scratch;
  const auto log = scratch / "log";
  const int code = code_of([&] {
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct stat found{};
    if (::dup2(file, STDERR_FILENO) < 0 || ::fstat(file, &found) != 0) return 2;
    if (::setenv("JOURNAL_STREAM", journal(found).c_str(), 1) != 0) return 3;
    ::execl(BACKUPKIT_BACKUPD, "backupd", "--root", "/proc/none", nullptr);
    return 4;
  });
  EXPECT_EQ(code, 1);
  std::ifstream said(log);
  std::string line;
  std::getline(said, line);
  return line;
}

TEST_F(Daemon, tells_the_journal_and_nobody_else_how_much_a_line_weighs) {
  const auto line = logged([](const struct stat& found) {
    return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
  });
  EXPECT_TRUE(line.starts_with("<3>service of '/proc/none' failed with 13900020: ")) << line;
  const auto other = logged([](const struct stat& found) {
    return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino + 1);
  });
  EXPECT_TRUE(other.starts_with("backupd: service of '/proc/none' failed with ")) << other;
}

TEST_F(Daemon, says_what_this_kernel_lacks_to_confine_others) {
  if (!has_call_filters().value()) GTEST_SKIP() << "no system calls are filtered";
  const ScratchDirectory scratch;
  const auto log = scratch / "log";
  for (const auto& [call, lacking] :
       {std::pair<long, std::string>(SYS_landlock_create_ruleset, "Landlock"),
        std::pair<long, std::string>(SYS_seccomp, "system calls")}) {
    auto ends = seqpacket_pair().value();
    ends.first.reset();  // its owner has gone before it begins
    const int code = code_of([&] {
      const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (::dup2(file, STDERR_FILENO) < 0 || ::dup2(ends.second.get(), 3) < 0) return 2;
      if (!take_away({call}, ENOSYS)) return 3;
      ::execl(BACKUPKIT_BACKUPD, "backupd", "--embedded", "--root", scratch.path().c_str(),
              nullptr);
      return 4;
    });
    EXPECT_EQ(code, 0);
    std::ifstream said(log);
    std::string line;
    std::getline(said, line);
    EXPECT_TRUE(line.contains("this kernel") && line.contains(lacking)) << line;
    EXPECT_FALSE(std::getline(said, line)) << line;
  }
}

constexpr size_t kCrowd = 500;
constexpr size_t kRoom = 64;  // for strangers, and for the callers of one user

bool is_over(BorrowedFd socket) {
  pollfd end{.fd = socket.get(), .events = POLLIN | POLLRDHUP, .revents = 0};
  return ::poll(&end, 1, static_cast<int>(kLong.count())) == 1 && (end.revents & POLLHUP) != 0;
}

TEST_F(Daemon, serves_beside_connections_that_say_nothing) {
  Supervisor supervisor;
  supervisor.start(kLong);
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < kCrowd; ++i) {
    silent.push_back(connect_seqpacket(supervisor.socket()).value());
  }
  const auto client = Client::connect(supervisor.socket());
  ASSERT_TRUE(client) << client.error().message();
  for (size_t i = 0; i < kCrowd; ++i) {
    silent.push_back(connect_seqpacket(supervisor.socket()).value());
  }
  ASSERT_TRUE((*client)->version(1));
  EXPECT_TRUE((*client)->await().value()) << "it is no stranger, and does not give way";
  for (size_t i = 0; i + kRoom < silent.size(); ++i) {
    ASSERT_TRUE(is_over(silent[i].borrow())) << i << " gives way to a later one";
  }
}

TEST_F(Daemon, callers_without_permission_give_way_to_each_other) {
  Supervisor supervisor;
  supervisor.configure(R"({"callers": []})");
  supervisor.start(kLong);
  std::vector<std::unique_ptr<Client>> refused;
  for (size_t i = 0; i <= kRoom; ++i) {
    auto client = Client::connect(supervisor.socket());
    ASSERT_TRUE(client) << i << ": " << client.error().message();
    refused.push_back(std::move(*client));
  }
  for (size_t i = 1; i < refused.size(); ++i) {
    ASSERT_TRUE(refused[i]->version(1));
    ASSERT_TRUE(refused[i]->await().value()) << i;
  }
  EXPECT_FALSE(refused[0]->await().value()) << "its connection has ended";
}

TEST_F(Daemon, a_user_has_so_many_connections_and_is_told_of_one_too_many) {
  Supervisor supervisor;
  supervisor.start(kLong);
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < kRoom; ++i) {
    auto client = Client::connect(supervisor.socket());
    ASSERT_TRUE(client) << i << ": " << client.error().message();
    clients.push_back(std::move(*client));
  }
  const auto refused = Client::connect(supervisor.socket());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message().contains("64 connections")) << refused.error().message();
  clients.pop_back();
  EXPECT_TRUE(Client::connect(supervisor.socket()));
}

TEST_F(Daemon, a_caller_without_permission_that_reads_no_answer_is_left) {
  Supervisor supervisor;
  supervisor.configure(R"({"callers": []})");
  supervisor.start(kLong);
  const auto client = Client::connect(supervisor.socket());
  ASSERT_TRUE(client) << client.error().message();
  uint32_t asked = 0;
  while (asked < 1'000'000 && (*client)->version(asked + 1)) ++asked;
  EXPECT_LT(asked, 10'000U) << "each has an answer that waits";
}

size_t descriptors_of(pid_t pid) {
  const std::filesystem::directory_iterator listing("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<size_t>(std::distance(begin(listing), end(listing)));
}

TEST_F(Daemon, runs_a_session_beside_half_open_connections_and_keeps_nothing_of_them) {
  constexpr size_t kHalfOpen = 100;
  const std::string bundle = "com.example.small";
  Supervisor supervisor;
  supervisor.configure(R"({"maxSendRate": 0})");
  supervisor.install(bundle);
  supervisor.start(kLong);
  const auto client = Client::connect(supervisor.socket());
  ASSERT_TRUE(client) << client.error().message();
  SmallSession session(**client, bundle);
  ASSERT_TRUE(session.run());
  const auto before = descriptors_of(supervisor.pid());
  std::deque<UniqueFd> others;
  for (size_t i = 0; i < kCrowd; ++i) {
    auto made = half_open(supervisor.socket(), i);
    ASSERT_TRUE(made) << i << ": " << made.error().message();
    others.push_back(std::move(*made));
    if (others.size() > kHalfOpen) others.pop_front();
    if (i % 50 == 0) {
      ASSERT_TRUE(session.run()) << i;
    }
  }
  others.clear();
  for (int tries = 0; descriptors_of(supervisor.pid()) > before && tries < 100; ++tries) {
    ASSERT_TRUE(session.run());
  }
  EXPECT_EQ(descriptors_of(supervisor.pid()), before);
}

}  // namespace
}  // namespace backupkit
