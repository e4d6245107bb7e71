// A client of a real service, and what it is told of descriptors under way.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backupkit/client.h"
#include "backupkit/unique_fd.h"
#include "native/io/tmpfile.h"
#include "native/protocol/wire.h"
#include "tests/native/census.h"

namespace backupkit {

constexpr uid_t kNobody = 65534;
constexpr uint8_t kTaken = 0;
constexpr uint8_t kClosed = 1;

// A file as it was handed out.
struct Handed {
  uint64_t sequence = 0;
  std::string bundle;
  std::string uri;
  UniqueFd fd;
};

// What a file of a device holds: its own number.
inline std::string content_of(size_t number) { return "file " + std::to_string(number) + "\n"; }

inline std::string text_of(const UniqueFd& fd) {
  auto bytes = read_file(fd.borrow(), 16U << 20);
  if (!bytes) return bytes.error().message();
  return {bytes->begin(), bytes->end()};
}

// A device root, and a client of a service of its own that works there.
class Flow : public Census {
 protected:
  // As many duplicates as there is room for.
  static std::vector<UniqueFd> fill_up(const UniqueFd& fd) {
    std::vector<UniqueFd> filling;
    for (;;) {
      UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
      if (!copy.is_open()) return filling;
      filling.push_back(std::move(copy));
    }
  }

  void SetUp() override {
    Census::SetUp();
    kept_ = limit_of(0);
    scratch_.emplace("/tmp");  // another user must be able to reach it
    ASSERT_EQ(::chmod(scratch_->path().c_str(), 0755), 0);
    std::filesystem::create_directories(root() + "/etc/backupkit/bundles");
    configure("");
  }

  void TearDown() override {
    client_.reset();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &kept_), 0);
    scratch_.reset();
    Census::TearDown();
  }

  [[nodiscard]] std::string root() const { return *scratch_ / "device"; }

  // Nothing is packed, and the limiter is off.
  void configure(const std::string& more) {
    std::ofstream(root() + "/etc/backupkit/service.json")
        << R"({"packingLimit": 0, "maxSendRate": 0)" << more << "}";
  }

  void add_bundle(const std::string& name, size_t files) {
    std::ofstream(root() + "/etc/backupkit/bundles/" + name + ".json")
        << R"({"name": ")" << name << R"(", "sandbox": "data/)" << name
        << R"(", "backup": {"allowToBackupRestore": true, "includes": ["*"]}})";
    const auto sandbox = root() + "/data/" + name;
    std::filesystem::create_directories(sandbox);
    for (size_t i = 0; i < files; ++i) {
      std::ofstream(sandbox + "/" + std::to_string(i)) << content_of(i);
    }
  }

  void start(const std::string& backupd = BACKUPKIT_BACKUPD) {
    auto client = Client::embed(backupd, root());
    ASSERT_TRUE(client.has_value()) << client.error().message();
    client_ = std::move(*client);
  }

  // The same with a limit on descriptors that the service cannot raise, as an ordinary user.
  void start_as_nobody(int descriptors) {
    const std::string copy = *scratch_ / "backupd";
    std::filesystem::copy_file(BACKUPKIT_BACKUPD, copy);
    std::string become;
    if (::geteuid() == 0) {
      become = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
      for (const auto& entry : std::filesystem::recursive_directory_iterator(root())) {
        ASSERT_EQ(::lchown(entry.path().c_str(), kNobody, kNobody), 0);
      }
      ASSERT_EQ(::lchown(root().c_str(), kNobody, kNobody), 0);
    }
    const std::string script = *scratch_ / "limited";
    std::ofstream(script) << "#!/bin/sh\nulimit -n " << descriptors << "\nexec " << become << copy
                          << " \"$@\"\n";
    std::filesystem::permissions(script, std::filesystem::perms(0755));
    start(script);
  }

  void append(const std::vector<std::string>& bundles) {
    ASSERT_TRUE(client_->open_session(++request_, 0).has_value());
    await_reply();
    std::vector<BundleRequest> list;
    for (const auto& name : bundles) {
      BundleRequest request;
      request.name = name;
      list.push_back(std::move(request));
    }
    const auto bytes = encode_list(list);
    ASSERT_TRUE(client_->append(++request_, false, bytes, BorrowedFd(), {}).has_value());
    await_reply();
  }

  // After it nothing of the session is left in the service.
  void release() {
    ASSERT_TRUE(client_->release(++request_).has_value());
    await_reply();
  }

  // Asks for something that needs no descriptor; what was sent before its answer is handed out.
  void ask_version() {
    ASSERT_TRUE(client_->version(++request_).has_value());
    await_reply();
  }

  // Whether the service says that the bundle has that limit now.
  bool update_timer(const std::string& bundle, int32_t milliseconds) {
    EXPECT_TRUE(client_->update_timer(++request_, bundle, milliseconds).has_value());
    await_reply();
    return reply_text_ == "true";
  }

  bool update_rate(const std::string& bundle, int32_t files_per_second) {
    EXPECT_TRUE(client_->update_rate(++request_, bundle, files_per_second).has_value());
    await_reply();
    return reply_text_ == "true";
  }

  // One message from the service, noted. False after 30 seconds.
  bool receive() {
    pollfd readable{socket(), POLLIN, 0};
    if (::poll(&readable, 1, 30'000) != 1) return false;
    auto batch = client_->await();
    EXPECT_TRUE(batch.has_value() && batch->has_value()) << "the service has gone";
    if (!batch || !*batch) return false;
    ++messages_;
    auto frames = decode_message((*batch)->frames, std::move((*batch)->fds));
    if (!frames) return (*batch)->frames.empty();  // every file of it was refused
    for (auto& frame : *frames) note(frame);
    return true;
  }

  // Waits for the next file.
  std::optional<Handed> next_file() {
    while (files_.empty()) {
      if (!receive()) return std::nullopt;
    }
    Handed file = std::move(files_.front());
    files_.pop_front();
    return file;
  }

  void await_end(const std::string& bundle) {
    while (!ends_.contains(bundle)) {
      ASSERT_TRUE(receive()) << "no end of " << bundle;
    }
    EXPECT_EQ(ends_[bundle], 0) << messages_of_ends_[bundle];
  }

  void take(const Handed& file) { settle(file, kTaken); }

  void settle(const Handed& file, uint8_t outcome) {
    ASSERT_TRUE(client_->settle(std::array{Settled{file.sequence, outcome}}));
  }

  void close(Handed file) {
    file.fd.reset();
    settle(file, kClosed);
  }

  // Takes all files until a bundle's are complete, and checks those.
  void receive_all(const std::string& bundle, size_t count, std::vector<Handed> before = {}) {
    for (auto& file : before) come(std::move(file));
    while (!came_[bundle].contains("manage.json")) {
      auto file = next_file();
      ASSERT_TRUE(file.has_value()) << came_[bundle].size() << " files came";
      take(*file);
      come(std::move(*file));
    }
    await_end(bundle);
    check(bundle, count);
  }

  // The same in any order, which is another where some found no room, and without their content.
  void receive_each_once(size_t count, std::set<std::string> came = {}) {
    while (!came.contains("manage.json")) {
      auto file = next_file();
      ASSERT_TRUE(file.has_value()) << came.size() << " files came";
      take(*file);
      EXPECT_TRUE(came.insert(file->uri).second) << file->uri << " came twice";
      close(std::move(*file));
    }
    EXPECT_EQ(came.size(), count + 2) << "each file, a part and manage.json";
  }

  void come(Handed file) {
    const auto bundle = file.bundle;
    const auto uri = file.uri;
    order_[bundle].push_back(uri);
    EXPECT_TRUE(came_[bundle].emplace(uri, text_of(file.fd)).second) << uri << " came twice";
    close(std::move(file));
  }

  void check(const std::string& bundle, size_t count) {
    const auto& files = came_[bundle];
    EXPECT_EQ(files.size(), count + 2) << "each file, a part and manage.json";
    std::vector<std::string> order;
    for (const auto& item : nlohmann::json::parse(files.at("manage.json"))) {
      const auto uri = item.at("fileName").get<std::string>();
      order.push_back(uri);
      if (uri == "part.0.tar") continue;
      const auto path = item.at("information").at("path").get<std::string>();
      EXPECT_EQ(files.at(uri), content_of(std::stoul(path.substr(path.rfind('/') + 1)))) << path;
    }
    order.emplace_back("manage.json");
    EXPECT_EQ(order_[bundle], order);
  }

  // The soft and the hard limit of a process on descriptors; 0 is this one.
  static rlimit limit_of(pid_t pid) {
    rlimit found{};
    EXPECT_EQ(::prlimit(pid, RLIMIT_NOFILE, nullptr, &found), 0);
    return found;
  }

  static void limit(pid_t pid, rlim_t descriptors) {
    rlimit wanted = limit_of(pid);
    wanted.rlim_cur = descriptors;
    ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, &wanted, nullptr), 0);
  }

  [[nodiscard]] size_t descriptors_of_the_service() const {
    const std::filesystem::directory_iterator listing("/proc/" + std::to_string(service()) + "/fd");
    return static_cast<size_t>(std::distance(begin(listing), end(listing)));
  }

  [[nodiscard]] pid_t service() const { return client_->service_pid(); }

  std::unique_ptr<Client> client_;
  std::deque<Handed> files_;
  size_t messages_ = 0;
  std::map<std::string, int32_t> begins_;

 private:
  // The client keeps its socket to itself; it is the only one that this process has.
  [[nodiscard]] int socket() {
    if (socket_ < 0) {
      for (const auto& [number, what] : open_descriptors()) {
        if (what.starts_with("socket:")) socket_ = number;
      }
    }
    return socket_;
  }

  void await_reply() {
    while (!replies_.contains(request_)) {
      ASSERT_TRUE(receive()) << "no reply to request " << request_;
    }
    EXPECT_EQ(replies_[request_], 0);
  }

  void note(Frame& frame) {
    ByteReader reader(frame.body);
    if (frame.type == FrameType::kReply) {
      const auto request = reader.get<uint32_t>();
      const auto error = read_error(reader);
      replies_[request] = error ? static_cast<int32_t>(error->code) : 0;
      reply_text_ = reader.get_text(kMaxText);
    } else if (frame.type == FrameType::kBundleBegin || frame.type == FrameType::kBundleEnd) {
      const auto bundle = reader.get_text(kMaxNameText);
      const auto error = read_error(reader);
      auto& noted = frame.type == FrameType::kBundleBegin ? begins_ : ends_;
      noted[bundle] = error ? static_cast<int32_t>(error->code) : 0;
      if (error) messages_of_ends_[bundle] = error->message();
    } else if (frame.type == FrameType::kFileReady) {
      Handed file;
      file.sequence = reader.get<uint64_t>();
      file.bundle = reader.get_text(kMaxNameText);
      file.uri = reader.get_text(kMaxNameText);
      ASSERT_EQ(frame.fds.size(), 1U) << file.uri;
      file.fd = std::move(frame.fds[0]);
      files_.push_back(std::move(file));
    }
  }

  rlimit kept_{};
  std::optional<ScratchDirectory> scratch_;
  int socket_ = -1;
  uint32_t request_ = 0;
  std::map<uint32_t, int32_t> replies_;
  std::string reply_text_;  // of the last one
  std::map<std::string, int32_t> ends_;
  std::map<std::string, std::string> messages_of_ends_;
  std::map<std::string, std::map<std::string, std::string>> came_;  // uris and contents
  std::map<std::string, std::vector<std::string>> order_;
};

}  // namespace backupkit
