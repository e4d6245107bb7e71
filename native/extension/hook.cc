#include "native/extension/hook.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/json.h"
#include "native/base/syscall.h"

namespace backupkit {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// When an app that is at work is asked for its progress, and how long it may think about it.
constexpr auto kProgressEvery = std::chrono::seconds(5);
constexpr auto kProgressTime = std::chrono::seconds(1);
constexpr auto kFirstProgressTime = std::chrono::seconds(15);
constexpr int kMaxMisses = 3;
constexpr auto kNever = LinkTime::Clock::time_point::max();

std::unexpected<Error> threw(std::string_view what) {
  return failure(Code::kExtensionThrew, "the app's hook program " + std::string(what));
}

}  // namespace

Result<Hook> Hook::greet(UniqueFd channel, Link& link) {
  Hook hook(std::move(channel), link);
  if (!hook.channel_.is_open()) return hook;
  if (auto told = link.app_progress("app start", ""); !told) return failure(told.error());
  auto first = hook.line(kNever);
  if (!first) return failure(first.error());
  const auto greeting = parse_json(first->value_or(""));
  if (!greeting.is_object() || greeting.value("hook", json()) != 1) {
    return threw("did not begin with a greeting of version 1");
  }
  for (const auto& call : greeting.value("calls", json::array())) {
    if (call.is_string()) hook.calls_.insert(call.get<std::string>());
  }
  if (auto told = link.hook_ready(hook.knows("onRelease")); !told) return failure(told.error());
  return hook;
}

Result<std::string> Hook::on_backup(const Settings& settings) {
  if (knows("onBackupEx")) {
    auto text = call("onBackupEx", {{"info", settings.app_info}});
    if (!text || !text->empty()) return text;
  }
  return knows("onBackup") ? call("onBackup", ordered_json::object()) : Result<std::string>("");
}

Result<std::string> Hook::on_restore(const Settings& settings) {
  const ordered_json version = {{"code", settings.version_code}, {"name", settings.version_name}};
  if (knows("onRestoreEx")) {
    auto text = call("onRestoreEx", {{"version", version}, {"info", settings.app_info}});
    if (!text || !text->empty()) return text;
  }
  const bool must_take = settings.full_backup_only && !settings.keeps_directory;
  if (must_take && !knows("onRestore") && !knows("onRestoreEx")) {
    return failure(Code::kExtensionThrew,
                   "nobody puts the data of '" + settings.bundle +
                       "' into their place: its app has no onRestore, which has to do that");
  }
  return knows("onRestore") ? call("onRestore", {{"version", version}}) : Result<std::string>("");
}

Result<std::string> Hook::answer(AppCall which, const std::string& info) {
  const std::string_view name = which == AppCall::kBackupInfo ? "getBackupInfo"
                                : which == AppCall::kBackupCompatibility
                                    ? "getBackupCompatibilityInfo"
                                    : "getRestoreCompatibilityInfo";
  if (!knows(name)) return "";
  if (which == AppCall::kBackupInfo) return call(name, ordered_json::object());
  return call(name, {{"info", info}});
}

// Asks, and asks for progress meanwhile, until there is an answer.
Result<std::string> Hook::call(std::string_view name, const ordered_json& arguments) {
  if (auto told = link_->app_progress("app " + std::string(name), ""); !told) {
    return failure(told.error());
  }
  auto id = ask(name, arguments);
  if (!id) return failure(id.error());
  Polling polling;
  polling.active = knows("onProcess");
  polling.next = link_->now() + kProgressEvery;
  for (;;) {
    auto received = line(polling.active ? polling.next : kNever);
    if (!received) return failure(received.error());
    const auto& said = *received;
    if (!said) {
      if (auto polled = poll_progress(polling); !polled) return failure(polled.error());
      continue;
    }
    const auto answer = parse_json(*said);
    if (answer.is_object() && answer.value("id", json()) == *id) return text_of(answer);
    if (auto taken = take_other(polling, answer); !taken) return failure(taken.error());
  }
}

// What is said while another answer is waited for.
Result<void> Hook::take_other(Polling& polling, const json& answer) {
  if (!answer.is_object()) return threw("said what is not a JSON object");
  const auto to = answer.value("id", json());
  if (!was_asked(to)) return threw("said what is no answer to anything that it was asked");
  if (!polling.id || to != *polling.id) return {};  // given up meanwhile
  return take_progress(polling, text_of(answer));
}

Result<void> Hook::poll_progress(Polling& polling) {
  const auto now = link_->now();
  if (now < polling.next) return {};
  if (polling.id) {  // not answered in time
    polling.id.reset();
    polling.first = false;
    if (++polling.misses == kMaxMisses) {
      return failure(Code::kTimedOut,
                     "the app's hook program did not answer onProcess three times");
    }
    polling.next = now + kProgressEvery - kProgressTime;
    return {};
  }
  polling.next = now + (polling.first ? kFirstProgressTime : kProgressTime);
  auto id = ask("onProcess", ordered_json::object());
  if (!id) return failure(id.error());
  polling.id = *id;
  return {};
}

Result<void> Hook::take_progress(Polling& polling, const Result<std::string>& answer) {
  if (!answer) return failure(answer.error());
  const std::string& text = *answer;
  polling.id.reset();
  polling.first = false;
  polling.misses = 0;
  polling.active = !text.empty();
  polling.next = link_->now() + kProgressEvery;
  return text.empty() ? Result<void>{} : link_->app_progress("app", text);
}

// A shell can read a request whose members are in the order that HOOK.md says.
Result<uint64_t> Hook::ask(std::string_view name, const ordered_json& arguments) {
  ordered_json request = {{"id", ++last_id_}, {"call", name}};
  request.update(arguments);
  const auto text = request.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  if (auto sent = send(text + "\n"); !sent) return failure(sent.error());
  return last_id_;
}

Result<void> Hook::send(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const auto sent = retry([&] {
      return ::send(channel_.get(), text.data() + at, text.size() - at,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    if (sent >= 0) {
      at += static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      auto ready = link_->await(channel_.borrow(), true, kNever);
      if (!ready) return failure(ready.error());
    } else {
      return ended("has ended");
    }
  }
  return {};
}

// The next line that is not empty, without its end; none at `until`.
Result<std::optional<std::string>> Hook::line(Clock::time_point until) {
  for (;;) {
    const auto end = received_.find('\n');
    if (std::min(end, received_.size()) > kMaxAnswerLine) {
      return threw("sent a line of more than " + std::to_string(kMaxAnswerLine) + " bytes");
    }
    if (end != std::string::npos) {
      auto text = received_.substr(0, end);
      received_.erase(0, end + 1);
      if (!text.empty()) return text;
      continue;
    }
    std::array<char, 16384> bytes{};
    const auto got =
        retry([&] { return ::recv(channel_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT); });
    if (got > 0) {
      received_.append(bytes.data(), static_cast<size_t>(got));
    } else if (got == 0 || errno != EAGAIN) {
      return ended("has ended without an answer");
    } else {
      auto ready = link_->await(channel_.borrow(), false, until);
      if (!ready) return failure(ready.error());
      if (!*ready && link_->now() >= until) return std::nullopt;
    }
  }
}

// The program dies with the service, whose socket may be closed later: in the order in which its
// threads end. What only the service's death has ended is no failure of the app.
std::unexpected<Error> Hook::ended(std::string_view how) {
  if (auto there = link_->check(); !there) return failure(there.error());
  return threw(how);
}

bool Hook::was_asked(const json& id) const {
  return id.is_number_unsigned() && id > 0U && id <= last_id_;
}

Result<std::string> Hook::text_of(const json& answer) const {
  const auto error = answer.value("error", json());
  if (!error.is_null()) {
    return failure(Code::kExtensionThrew, error.is_string()
                                              ? error.get<std::string>().substr(0, kMaxAnswer / 4)
                                              : "the app's code failed");
  }
  const auto result = answer.value("result", json(""));
  if (!result.is_string()) return threw("gave a result that is not a text");
  const auto& text = result.get_ref<const std::string&>();
  if (text.size() <= kMaxAnswer) return text;
  return threw("gave a result of " + std::to_string(text.size()) + " bytes; the limit is " +
               std::to_string(kMaxAnswer));
}

}  // namespace backupkit
