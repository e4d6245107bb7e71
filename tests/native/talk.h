// A server under test, and who talks with it.
#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "native/service/server.h"
#include "tests/native/scratch_directory.h"

namespace backupkit {

// A server and one client of it, on one thread.
class Talk {
 public:
  explicit Talk(ServiceSettings settings = {}) {
    server_.configure(std::move(settings));
    std::filesystem::create_directories(scratch_ / "etc/backupkit/bundles");
    auto pair = seqpacket_pair().value();
    EXPECT_TRUE(server_.adopt(std::move(pair.first), true).has_value());
    client_.emplace(std::move(pair.second));
    say(FrameBuilder(FrameType::kHello).number(kWireVersion).number(uint32_t{1}));
    EXPECT_EQ(hear(FrameType::kWelcome).type, FrameType::kWelcome);
  }

  void say(FrameBuilder& frame) { EXPECT_EQ(client_->send(frame.build()).value(), Sent::kAll); }

  // Runs the server until it has said something of that type, and gives it; what it said beside is
  // in heard(). A frame of type 0: it ended the conversation.
  Frame hear(FrameType wanted) {
    Frame found;
    EXPECT_TRUE(loop_->watch(client_->socket(), EPOLLIN, [&](uint32_t) {
      auto arrival = client_->receive();
      if (!arrival || arrival->receipt != Receipt::kMessage) return loop_->stop();
      for (auto& frame : arrival->frames) {
        if (frame.type == wanted && found.type != wanted) {
          found = std::move(frame);
          loop_->stop();
        } else {
          heard_.push_back(std::move(frame));
        }
      }
    }));
    EXPECT_TRUE(loop_->run().has_value());
    loop_->forget(client_->socket());
    return found;
  }

  // Goes away. Whether all of it has ended by then.
  bool leave() {
    client_.reset();
    const auto late =
        loop_->call_at(Loop::Clock::now() + std::chrono::seconds(10), [this] { loop_->stop(); });
    EXPECT_TRUE(server_.is_idle() || loop_->run());
    loop_->cancel(late);
    return server_.is_idle();
  }

  void append(uint32_t request, bool more, UniqueFd list) {
    say(FrameBuilder(FrameType::kAppend)
            .number(request)
            .number(static_cast<uint8_t>(more))
            .fd(std::move(list)));
  }

  // Installs a bundle of that name, and with what is to stand before its last field.
  void install(const std::string& name, const std::string& more = "") {
    std::filesystem::create_directories(scratch_ / name);
    std::ofstream(scratch_ / ("etc/backupkit/bundles/" + name + ".json"))
        << R"({"name": ")" << name << R"(", "sandbox": ")" << name << R"(", )" << more
        << R"("backup": {"allowToBackupRestore": true}})";
  }

  [[nodiscard]] const std::vector<Frame>& heard() const { return heard_; }
  [[nodiscard]] bool is_idle() const { return server_.is_idle(); }
  [[nodiscard]] bool notes_restore_of(const std::string& bundle) const {
    return std::filesystem::exists(scratch_ / ("var/lib/backupkit/restores/" + bundle));
  }

 private:
  ScratchDirectory scratch_;
  std::unique_ptr<Loop> loop_ = Loop::make().value();
  Server server_{*loop_, scratch_.fd(), ServiceSettings{}, [this] { loop_->stop(); }};
  std::optional<Channel> client_;
  std::vector<Frame> heard_;
};

}  // namespace backupkit
