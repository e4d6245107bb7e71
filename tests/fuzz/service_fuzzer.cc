// Conversations of clients and extensions with the service, in one process and on one thread: its
// children are played, too. Whatever they say or send, and when they end: every request is answered
// or its connection closed; when all have gone nothing of them is left, no session, no descriptor
// and no child; and no file is touched but those below var.
//
//   input = choice *step
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "native/io/loop.h"
#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "native/service/server.h"
#include "tests/fuzz/children.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/native/scratch_directory.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr std::array kClientFrames = {
    FrameType::kOpenSession, FrameType::kAppend,       FrameType::kFileHandle,
    FrameType::kPublish,     FrameType::kRelease,      FrameType::kSettle,
    FrameType::kAppCall,     FrameType::kCapabilities, FrameType::kDataSize,
    FrameType::kUpdateTimer, FrameType::kUpdateRate,   FrameType::kCancel,
    FrameType::kMetrics,     FrameType::kHello,        FrameType::kFile};
constexpr std::array kChildFrames = {
    FrameType::kFile,     FrameType::kPublished, FrameType::kReport, FrameType::kDone,
    FrameType::kProgress, FrameType::kFreeze,    FrameType::kThaw,   FrameType::kHookReady,
    FrameType::kMoved,    FrameType::kRecovered, FrameType::kCheck};

// A device on which bundles of all kinds are installed.
class Device {
 public:
  Device() {
    fs::create_directories(scratch_ / "etc/backupkit/bundles");
    fs::create_directory(scratch_ / "sandbox");
    fs::create_directory(scratch_ / "cgroup");
    for (const char* file : {"cgroup/cgroup.freeze", "cgroup/cgroup.events", "hook"}) {
      std::ofstream(scratch_ / file) << "populated 1\n";
    }
    fs::permissions(scratch_ / "hook", fs::perms::owner_all);
    const std::string backup = R"("backup":{"allowToBackupRestore":true)";
    install("app", backup + R"(,"optionDir":[{"sceneId":"scene","includes":["a"]}]})");
    install("app:1", backup + "}");
    install("other", backup + R"(,"fullBackupOnly":true})");
    install("hooked", backup + R"(},"extension":{"command":["hook"]})");
    install("frozen", backup + R"(},"freeze":"cgroup")");
    install("dependent", backup + R"(,"restoreDeps":"app,other"})");
    install("denied", R"("backup":{})");
    install("broken", R"("backup":[])");
    before_ = fs::last_write_time(scratch_ / "sandbox");
  }

  [[nodiscard]] BorrowedFd root() const { return scratch_.fd(); }

  // What the service notes for its successor goes.
  void clear() const {
    fs::remove_all(scratch_ / "var");
    check(fs::is_empty(scratch_ / "sandbox"));
    check(fs::last_write_time(scratch_ / "sandbox") == before_);
    size_t top = 0;
    for (const auto& entry : fs::directory_iterator(scratch_.path())) top += entry.exists() ? 1 : 0;
    check(top == 4);
  }

 private:
  void install(const std::string& name, const std::string& more) const {
    std::ofstream(scratch_ / ("etc/backupkit/bundles/" + name + ".json"))
        << R"({"name":")" << name << R"(","sandbox":"sandbox",)" << more << "}";
  }

  ScratchDirectory scratch_{memory_directory()};
  fs::file_time_type before_;
};

ServiceSettings settings_of(uint8_t choice) {
  ServiceSettings settings;
  settings.max_extensions = 1 + choice % 3;
  settings.max_send_rate = choice % 2 == 0 ? 0 : 800;
  if (choice < 128) settings.callers[::geteuid()] = {true, choice < 64};
  return settings;
}

// A client, and what it may expect.
class FakeClient {
 public:
  explicit FakeClient(UniqueFd socket) : channel_(std::move(socket)) {}

  void say(const Frame& frame) {
    expect_answer(frame);
    (void)channel_.send(frame);  // it may be closed
  }
  void say_anything(const RawMessage& message) { send(channel_.socket(), message); }

  void hear() {
    while (!closed_) {
      auto arrival = channel_.receive(false);
      check(arrival.has_value());
      if (arrival->receipt == Receipt::kWouldBlock) return;
      closed_ = arrival->receipt == Receipt::kEnd;
      for (const auto& frame : arrival->frames) take(frame);
    }
  }

  [[nodiscard]] bool is_answered() const { return closed_ || unanswered_.empty(); }

 private:
  // What is not right is not expected to have an answer, and what comes after a publication or a
  // release depends on others.
  void expect_answer(const Frame& frame) {
    ByteReader reader(frame.body);
    const auto request = reader.get<uint32_t>();
    if (!greeted_ || !reader.ok()) return;
    switch (frame.type) {
      case FrameType::kHello:
      case FrameType::kSettle:
      case FrameType::kPublish:
      case FrameType::kRelease:
        return;
      case FrameType::kAppend:
        if (reader.get<uint8_t>() != 0) parted_.insert(request);
        if (parted_.contains(request)) return;
        break;
      default:
        break;
    }
    unanswered_.insert(request);
  }

  void take(const Frame& frame) {
    check(frame.type >= FrameType::kWelcome && frame.type <= FrameType::kSizeReport);
    check(!frame.lost_fds && frame.fds.size() <= 2);
    ByteReader reader(frame.body);
    if (frame.type == FrameType::kWelcome) greeted_ = true;
    if (frame.type == FrameType::kReply) unanswered_.erase(reader.get<uint32_t>());
  }

  Channel channel_;
  bool greeted_ = false;
  bool closed_ = false;
  std::set<uint32_t> unanswered_;
  std::set<uint32_t> parted_;  // of requests that came in parts
};

class Conversation {
 public:
  Conversation(const Device& device, ByteReader choices)
      : choices_(choices),
        server_(*loop_, device.root(), settings_of(choices_.get<uint8_t>()), [] {}) {
    ByteReader none({});
    connect(0, true);
    clients_[0]->say(make_frame(FrameType::kHello, none));
    turn();
  }

  void run() {
    while (choices_.left() > 0) step();
    end_children();
    for (const auto& client : clients_) check(!client || client->is_answered());
    for (auto& client : clients_) client.reset();
    end_children();
    check(server_.is_idle());
  }

 private:
  void step() {
    const auto choice = choices_.get<uint8_t>();
    auto& client = clients_[choice / 16 % clients_.size()];
    switch (choice % 16) {
      case 13:
        connect(choice / 16 % clients_.size(), choice >= 128);
        break;
      case 14:
        client.reset();
        break;
      case 15:
        server_.configure(settings_of(choices_.get<uint8_t>()));
        break;
      case 12:
        if (client) client->say_anything(make_message(choices_));
        break;
      case 6:
      case 7:
      case 8:
      case 9:
      case 10:
      case 11:
        play_child(choice);
        break;
      default:
        if (client) client->say(make_frame(pick(kClientFrames), choices_));
        break;
    }
    ++unheard_;
    // Now and then more comes before the service looks.
    if (choices_.get<uint8_t>() < 192) turn();
  }

  void play_child(uint8_t choice) {
    auto& children = fake_children();
    if (children.empty()) return;
    auto& child = *children[choice / 16 % children.size()];
    if (!child.channel.is_open()) return;
    const auto deed = choice % 16;
    if (deed == 6) return end_child(child, choices_.get<uint8_t>() % 2);
    if (deed == 7) return send(child.channel.borrow(), make_message(choices_));
    Message message;
    const Frame frame = make_frame(pick(kChildFrames), choices_);
    message.add(frame);
    (void)send_message(child.channel.borrow(), message.bytes(), message.fds());
  }

  template <typename List>
  FrameType pick(const List& list) {
    return list[choices_.get<uint8_t>() % list.size()];
  }

  void connect(size_t index, bool trusted) {
    auto pair = seqpacket_pair().value();
    check(server_.adopt(std::move(pair.first), trusted).has_value());
    clients_[index].emplace(std::move(pair.second));
  }

  // Whatever is ready is done, and what this has brought about, too.
  void turn() {
    // In each turn one message of everybody is taken.
    size_t left = 3 + std::exchange(unheard_, 0);
    const std::function<void()> next = [&] {
      if (--left == 0) return loop_->stop();
      loop_->call_at(Loop::Clock::now(), next);
    };
    loop_->call_at(Loop::Clock::now(), next);
    check(loop_->run().has_value());
    for (auto& client : clients_) {
      if (client) client->hear();
    }
    for (const auto& child : fake_children()) {
      std::array<uint8_t, 256> bytes{};
      while (::recv(child->channel.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
      }
    }
  }

  // Those of bundles that only begin then, too.
  void end_children() {
    constexpr int kMostTurns = 1000;
    turn();
    for (int turns = 0; !fake_children().empty(); ++turns) {
      check(turns < kMostTurns);
      for (const auto& child : fake_children()) end_child(*child, 0);
      turn();
    }
  }

  ByteReader choices_;
  std::unique_ptr<Loop> loop_ = Loop::make().value();
  Server server_;
  std::array<std::optional<FakeClient>, 3> clients_;
  size_t unheard_ = 0;  // steps since the last turn
};

}  // namespace
}  // namespace backupkit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const backupkit::Device device;
  {
    const backupkit::NothingLeftOpen census;
    backupkit::Conversation(device, backupkit::ByteReader({data, size})).run();
    backupkit::check(backupkit::fake_children().empty());
  }
  device.clear();
  return 0;
}
