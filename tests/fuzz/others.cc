#include "tests/fuzz/others.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/io/tmpfile.h"
#include "native/io/unix_socket.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzzer.h"

namespace backupkit {
namespace {

constexpr std::array kFrames = {FrameType::kHandle, FrameType::kPublishFile, FrameType::kSettled,
                                FrameType::kFrozen, FrameType::kStart,       FrameType::kThaw};
constexpr std::array<std::string_view, 4> kNames = {kPartName, kBigName, "manage.json", ""};
constexpr std::array<std::string_view, 5> kAnswers = {
    R"(,"result":""})", R"(,"result":"{\"compatibleDirMapping\":[\"moved\"]}"})",
    R"(,"error":"no"})", R"(,"result":1})", R"(})"};
constexpr std::string_view kGreeting =
    R"({"hook":1,"calls":["onBackup","onBackupEx","onRestore","onRestoreEx","onProcess",)"
    R"("getBackupInfo","onRelease"]})"
    "\n";

constexpr int kChannelFd = 3;  // the extension's

// The manners.
constexpr uint8_t kSettles = 1;  // every file is taken as it comes
constexpr uint8_t kFills = 2;    // what was asked for is written as it comes
constexpr uint8_t kCloses = 4;   // and closed

template <typename List>
auto pick(const List& list, ByteReader& choices) {
  return list[choices.get<uint8_t>() % list.size()];
}

UniqueFd sealed(std::string_view text) {
  return sealed_memfd("fuzz", {reinterpret_cast<const uint8_t*>(text.data()), text.size()}).value();
}

std::string beginning_of(BorrowedFd file) {
  std::array<char, 4096> bytes{};
  const auto got = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  return {bytes.data(), static_cast<size_t>(std::max<ssize_t>(got, 0))};
}

}  // namespace

Others::Others(const Ground& ground, ByteReader choices) : ground_(ground), choices_(choices) {
  ground_.prepare(choices_);
  manners_ = choices_.get<uint8_t>();
  backup_ = make_backup(choices_);
  auto pair = seqpacket_pair().value();
  // On one thread nobody may wait for room.
  for (const auto* end : {&pair.first, &pair.second}) {
    check(set_nonblocking(end->borrow(), true).has_value());
  }
  service_.emplace(std::move(pair.first));
  extension_ = std::move(pair.second);
  start();
}

void Others::start() {
  const auto form = choices_.get<uint8_t>();
  if (form >= 248) return say(make_frame(FrameType::kStart, choices_));
  FrameBuilder frame(FrameType::kStart);
  const bool has_hook = form % 8 >= 4;
  const bool has_manifest = form % 32 >= 16;
  frame.number(static_cast<uint8_t>(form % 4));
  frame.number(static_cast<uint8_t>((has_hook ? kHasHook : 0) | (has_manifest ? kHasManifest : 0)));
  frame.number(uint32_t{choices_.get<uint8_t>()} + 1);
  frame.text(".").number(int64_t{-1}).number(int64_t{-1});
  frame.fd(ground_.open_sandbox()).fd(make_settings());
  if (has_hook) {
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    hook_.reset(ends[0]);
    frame.fd(UniqueFd(ends[1]));
    if (form < 224) say_of_hook(kGreeting);
  }
  if (has_manifest) frame.fd(sealed(backup_.manifest));
  say(frame.build());
  say(FrameBuilder(FrameType::kBegin).build());
}

UniqueFd Others::make_settings() {
  const auto a = choices_.get<uint8_t>();
  const auto b = choices_.get<uint8_t>();
  nlohmann::json options = nlohmann::json::object();
  if (a % 2 == 1) options["resume"] = true;
  if (a % 4 >= 2) options["restoreMode"] = "mirror";
  if (a % 8 >= 4) options["clearBackupData"] = false;
  if (a % 16 >= 8) options["delayTime"] = 5;
  if (a % 32 >= 16) options["integrity"] = "none";
  const nlohmann::json settings = {
      {"name", "app"},
      {"includes", {"*"}},
      {"excludes", {"d/c"}},
      {"packingLimit", b % 2 == 0 ? 1000 : 50},
      {"appInfo", b % 4 < 2 ? "" : "undo"},
      {"appCall", b % 8},
      {"fullBackupOnly", b % 16 >= 12},
      {"freezes", b % 32 >= 24},
      {"spaceNeeded", b == 255 ? UINT64_MAX : 0},
      {"compatibleDirMapping", {{{"backupDir", "d"}, {"restoreDir", "moved"}}}},
      {"options", options}};
  return sealed(settings.dump());
}

LinkTime Others::time() {
  return {.now = [this] { return now_; },
          .poll = [this](std::span<pollfd> polled,
                         Clock::time_point until) { return wait(polled, until); }};
}

void Others::speak() {
  hear();
  while (service_ && !has_unheard()) {
    if (choices_.left() == 0) return leave();
    (void)step();
    hear();
  }
}

// Whether there is something for the extension to hear.
bool Others::has_unheard() {
  pollfd readable{kChannelFd, POLLIN, 0};
  return ::poll(&readable, 1, 0) > 0;
}

int Others::wait(std::span<pollfd> polled, Clock::time_point until) {
  for (;;) {
    hear();
    const int ready = ::poll(polled.data(), polled.size(), 0);
    if (ready != 0) return ready;
    if (choices_.left() == 0) {
      leave();
    } else if (!step() && until != Clock::time_point::max()) {
      now_ = std::max(now_, until);
      return 0;
    }
  }
}

bool Others::step() {
  const auto choice = choices_.get<uint8_t>();
  switch (choice % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
      say(make_frame(pick(kFrames, choices_), choices_));
      return true;
    case 4:
      send(service_->socket(), make_message(choices_));
      return true;
    case 5:
    case 6:
      ask_for_all();
      return true;
    case 7:
    case 8:
      publish("");
      return true;
    case 9:
      publish(pick(kNames, choices_));
      return true;
    case 10:
    case 11:
      say_of_hook("{\"id\":" + std::to_string(++asked_) + std::string(pick(kAnswers, choices_)) +
                  "\n");
      return true;
    case 12: {
      const size_t length = choices_.get<uint8_t>() % 32;
      say_of_hook(text_of(choices_.take(std::min(length, choices_.left()))));
      return true;
    }
    case 13:
      ground_.meddle(choices_);
      return true;
    case 14:
      manners_ = choices_.get<uint8_t>();
      return true;
    default:
      if (choice == 255) hook_.reset();  // the app's program ends
      return false;
  }
}

void Others::say(const Frame& frame) {
  if (service_) (void)service_->send(frame);  // it may have ended, or be full
}

void Others::say_of_hook(std::string_view text) {
  if (hook_.is_open())
    (void)::send(hook_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Others::ask_for_all() {
  for (const auto& name : {"manage.json", kPartName, kBigName}) {
    say(FrameBuilder(FrameType::kHandle).text(name).build());
  }
}

void Others::publish(std::string_view uri) {
  FrameBuilder frame(FrameType::kPublishFile);
  frame.number(uint32_t{choices_.get<uint8_t>()}).text(uri);
  const bool gives = !uri.empty() && choices_.get<uint8_t>() % 4 == 3;
  if (gives) frame.fd(sealed(uri == kBigName ? backup_.big : backup_.part));
  say(frame.build());
}

void Others::leave() {
  service_.reset();
  hook_.reset();
}

void Others::hear() {
  std::array<char, 65536> requests{};
  while (hook_.is_open() &&
         ::recv(hook_.get(), requests.data(), requests.size(), MSG_DONTWAIT) > 0) {
  }
  while (service_) {
    auto arrival = service_->receive(false);
    check(arrival.has_value());
    if (arrival->receipt != Receipt::kMessage) return;
    for (auto& frame : arrival->frames) take(frame);
  }
}

void Others::take(Frame& frame) {
  check(frame.type >= FrameType::kFile && frame.type <= FrameType::kCheck && !done_);
  if (frame.type == FrameType::kFile) take_file(frame);
  if (frame.type == FrameType::kCheck) say(FrameBuilder(FrameType::kChecked).build());
  done_ = frame.type == FrameType::kDone;
  if (done_ && (manners_ & kSettles) != 0) settle(kDoneSequence, Outcome::kTaken);
}

void Others::settle(uint64_t sequence, Outcome outcome) {
  say(FrameBuilder(FrameType::kSettled)
          .number(sequence)
          .number(static_cast<uint8_t>(outcome))
          .build());
}

void Others::take_file(Frame& frame) {
  ByteReader reader(frame.body);
  const auto sequence = reader.get<uint64_t>();
  const auto uri = reader.get_text(kMaxNameText);
  check(sequence > 0 && frame.fds.size() <= 2);
  if ((manners_ & kFills) != 0 && frame.fds.size() == 2) fill(uri, frame);
  for (const auto& fd : frame.fds) {
    check(beginning_of(fd.borrow()).find(Ground::kSecret) == std::string::npos);
  }
  if ((manners_ & kCloses) == 0) kept_ = std::move(frame.fds);  // until the next one comes
  if ((manners_ & kCloses) != 0) settle(sequence, Outcome::kClosed);
  if ((manners_ & kSettles) != 0) settle(sequence, Outcome::kTaken);
}

void Others::fill(const std::string& uri, Frame& frame) const {
  const auto write = [](BorrowedFd file, std::string_view text) {
    (void)::pwrite(file.get(), text.data(), text.size(), 0);  // of a backup it is not to be written
  };
  const bool is_index = uri == kNames[2];
  write(frame.fds[0].borrow(), is_index          ? backup_.index
                               : uri == kBigName ? backup_.big
                                                 : backup_.part);
  if (is_index) write(frame.fds[1].borrow(), backup_.manifest);
}

}  // namespace backupkit
