// What is said to an app's program that is at work, and when.
#include "native/extension/hook.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>

#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "tests/native/census.h"
#include "tests/native/still_time.h"

namespace backupkit {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// The app's side of the channel.
class App {
 public:
  explicit App(UniqueFd channel) : channel_(std::move(channel)) {}

  // False where nobody listens any more.
  bool say(const std::string& text) {
    for (size_t at = 0; at < text.size();) {
      const auto sent = ::send(channel_.get(), text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += static_cast<size_t>(sent);
    }
    return true;
  }
  bool answer(const json& id, const std::string& result) {
    return say(json{{"id", id}, {"result", result}}.dump() + "\n");
  }

  // The next request; null at the end.
  json hear() {
    for (;;) {
      const auto end = received_.find('\n');
      if (end != std::string::npos) {
        auto request = json::parse(received_.substr(0, end));
        received_.erase(0, end + 1);
        return request;
      }
      std::array<char, 4096> bytes{};
      const auto got = ::recv(channel_.get(), bytes.data(), bytes.size(), 0);
      if (got <= 0) return {};
      received_.append(bytes.data(), static_cast<size_t>(got));
    }
  }

 private:
  UniqueFd channel_;
  std::string received_;
};

// The service's side of the link.
enum class Service { kStays, kGoes };

// Hears what is said to it, and is still there when it is asked, or goes then.
void serve(UniqueFd socket, Service service) {
  const Channel channel(std::move(socket));
  for (;;) {
    auto arrival = channel.receive();
    if (!arrival || arrival->receipt != Receipt::kMessage) return;
    for (const auto& frame : arrival->frames) {
      if (frame.type != FrameType::kCheck) continue;
      if (service == Service::kGoes) return;
      EXPECT_TRUE(channel.send(FrameBuilder(FrameType::kChecked).build()));
    }
  }
}

class HookTest : public Census {
 protected:
  // What comes of onBackup when the app does `deed` with its id.
  static Result<std::string> back_up(const std::function<void(App&, const json& id)>& deed,
                                     StillTime& time, Service service = Service::kStays) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    std::thread thread([&deed, end = ends[1]] {
      App app{UniqueFd(end)};
      EXPECT_TRUE(app.say("{\"hook\":1,\"calls\":[\"onBackup\",\"onProcess\"]}\n"));
      const auto request = app.hear();
      EXPECT_EQ(request.value("call", ""), "onBackup");
      deed(app, request.value("id", json()));
    });
    auto result = ask(UniqueFd(ends[0]), time, service);
    thread.join();
    return result;
  }

  // The same of an app at the other end of `channel`.
  static Result<std::string> ask(UniqueFd channel, StillTime& time, Service service) {
    auto pair = seqpacket_pair().value();
    std::thread other(serve, std::move(pair.second), service);
    Result<std::string> result;
    {
      Link link(std::move(pair.first), time.link_time());
      auto hook = Hook::greet(std::move(channel), link);
      EXPECT_TRUE(hook);
      result = hook->on_backup(Settings());
    }
    other.join();
    return result;
  }

  // An app that has gone before it is asked.
  static Result<std::string> ask_nobody(StillTime& time, Service service) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    EXPECT_TRUE(App(UniqueFd(ends[1])).say("{\"hook\":1,\"calls\":[\"onBackup\"]}\n"));
    return ask(UniqueFd(ends[0]), time, service);
  }
};

// The answers come, however long they take.
bool is_between_questions(StillTime::Clock::duration wait) { return wait == 5s; }

TEST_F(HookTest, progress_that_is_missed_three_times_times_out) {
  StillTime time([](auto wait) { return wait < 1h; });  // all but what has no end
  int asked = 0;
  const auto hangs = [&](App& app, const json&) {
    while (!app.hear().is_null()) ++asked;
  };
  const auto result = back_up(hangs, time);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kTimedOut);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(time.passed(), 30s);
}

TEST_F(HookTest, progress_is_asked_for_as_long_as_it_is_told) {
  constexpr int kTimes = 20;
  const auto works = [](App& app, const json& id) {
    for (int i = 0; i < kTimes; ++i) {
      const auto request = app.hear();
      EXPECT_EQ(request.value("call", ""), "onProcess");
      EXPECT_TRUE(app.answer(request.value("id", json()), std::to_string(i)));
    }
    const auto last = app.hear();
    EXPECT_TRUE(app.answer(last.value("id", json()), ""));  // ends the asking
    EXPECT_TRUE(app.answer(id, "done"));
    EXPECT_TRUE(app.hear().is_null());
  };
  StillTime time(is_between_questions);
  const auto result = back_up(works, time);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(*result, "done");
  EXPECT_EQ(time.passed(), (kTimes + 1) * 5s);
}

TEST_F(HookTest, a_line_has_at_most_256_KiB) {
  for (const size_t length : {kMaxAnswerLine, kMaxAnswerLine + 1}) {
    const auto pads = [&](App& app, const json& id) {
      auto line = "{\"id\":" + id.dump() + ",\"result\":\"done\"";
      line.resize(length - 1, ' ');
      (void)app.say(line + "}\n");  // it may be cut off
    };
    StillTime time(is_between_questions);
    const auto result = back_up(pads, time);
    EXPECT_EQ(result.has_value(), length == kMaxAnswerLine) << length;
    if (!result) {
      EXPECT_EQ(result.error().code, Code::kExtensionThrew);
    }
  }
}

TEST_F(HookTest, progress_that_fails_ends_the_call_with_why) {
  const auto deep = std::string(60'000, '[') + std::string(60'000, ']');
  const std::array<std::pair<std::string, std::string>, 5> answers = {{
      {"garbage\n", "not a JSON object"},
      {"{\"id\":2,\"error\":" + deep + "}\n", "not a JSON object"},
      {"{\"id\":2,\"error\":\"lost my way\"}\n", "lost my way"},
      {"{\"id\":2,\"result\":\"" + std::string(1U << 20, 'x') + "\"}\n", "more than 262144 bytes"},
      {"", "ended without an answer"},
  }};
  for (const auto& [answer, why] : answers) {
    const auto fails = [&said = answer](App& app, const json&) {
      EXPECT_EQ(app.hear().value("id", 0), 2);
      (void)app.say(said);  // it may be cut off
    };
    StillTime time(is_between_questions);
    const auto result = back_up(fails, time);
    ASSERT_FALSE(result) << why;
    EXPECT_EQ(result.error().code, Code::kExtensionThrew) << why;
    EXPECT_NE(result.error().message().find(why), std::string::npos) << result.error().message();
  }
}

// An app's program dies with the service, and may be gone before the service's socket is closed.
TEST_F(HookTest, an_end_that_comes_with_the_service_s_is_not_the_app_s) {
  const auto ends = [](App&, const json&) {};
  for (const auto& [service, code] :
       {std::pair(Service::kGoes, Code::kClosed), {Service::kStays, Code::kExtensionThrew}}) {
    StillTime time(is_between_questions);
    for (const auto& result : {back_up(ends, time, service), ask_nobody(time, service)}) {
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().code, code) << result.error().message();
    }
  }
}

}  // namespace
}  // namespace backupkit
