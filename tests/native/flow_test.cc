// Descriptors under way between the extension, the service and a client, where there is little room
// for them: the real service with the real client.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "backupkit/client.h"
#include "native/io/process.h"
#include "native/io/tmpfile.h"
#include "native/io/unix_socket.h"
#include "native/protocol/wire.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

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
std::string content_of(size_t number) { return "file " + std::to_string(number) + "\n"; }

std::string text_of(const UniqueFd& fd) {
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
  std::map<std::string, int32_t> ends_;
  std::map<std::string, std::string> messages_of_ends_;
  std::map<std::string, std::map<std::string, std::string>> came_;  // uris and contents
  std::map<std::string, std::vector<std::string>> order_;
};

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
  auto first = next_file();
  ASSERT_TRUE(first.has_value());
  take(*first);
  auto filling = fill_up(first->fd);
  // Each message is a file that is refused now, over and over.
  files_.clear();
  const auto many = messages_ + 40;
  while (messages_ < many) ASSERT_TRUE(receive());
  EXPECT_EQ(files_.size(), 0U);
  filling.clear();
  std::vector<Handed> seen;
  seen.push_back(std::move(*first));
  receive_all("app", kFiles, std::move(seen));
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
  std::set<std::string> came;
  while (!came.contains("manage.json")) {
    auto file = next_file();
    ASSERT_TRUE(file.has_value());
    take(*file);
    EXPECT_TRUE(came.insert(file->uri).second) << file->uri << " came twice";
    close(std::move(*file));
  }
  await_end("app");
  EXPECT_EQ(came.size(), kFiles + 2) << "each file, a part and manage.json";
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
  while (!begins_.contains("app")) ASSERT_TRUE(receive());
  EXPECT_EQ(begins_["app"], 0);
  for (int i = 0; i < 10; ++i) ask_version();
  EXPECT_EQ(files_.size(), 0U);
  under_way.reset();
  receive_all("app", kFiles);
}

}  // namespace
}  // namespace backupkit
