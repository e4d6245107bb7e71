// The app's own code: what is said to its hook program, and what it answers. HOOK.md beside this
// file is the protocol; the service starts and ends the program.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "native/extension/link.h"
#include "native/extension/settings.h"

namespace backupkit {

constexpr size_t kMaxAnswer = 32768;           // bytes of text in an answer
constexpr size_t kMaxAnswerLine = 256U << 10;  // with its JSON

// A hook program that has been greeted, or none, which knows no call. Not thread-safe. Errors of
// all calls: kExtensionThrew: the app's code failed, or what it said is no answer; kTimedOut: it
// let three onProcess go by; kClosed: the service has gone.
class Hook {
 public:
  // `channel` not open: there is no hook program. Waits for its greeting otherwise.
  [[nodiscard]] static Result<Hook> greet(UniqueFd channel, Link& link);

  [[nodiscard]] bool knows(std::string_view call) const { return calls_.contains(call); }

  // onBackupEx, and where that gives "" onBackup. Gives the app's own report, or "".
  [[nodiscard]] Result<std::string> on_backup(const Settings& settings);
  // The same for onRestoreEx and onRestore.
  [[nodiscard]] Result<std::string> on_restore(const Settings& settings);
  [[nodiscard]] Result<std::string> answer(AppCall call, const std::string& info);

 private:
  using Clock = LinkTime::Clock;
  // When the app is asked for its progress, and what became of that.
  struct Polling {
    bool active = false;
    Clock::time_point next;      // time of the next question, or the end of the last one's time
    std::optional<uint64_t> id;  // of the question under way
    int misses = 0;
    bool first = true;
  };

  Hook(UniqueFd channel, Link& link) : channel_(std::move(channel)), link_(&link) {}

  [[nodiscard]] Result<std::string> call(std::string_view name,
                                         const nlohmann::ordered_json& arguments);
  [[nodiscard]] Result<uint64_t> ask(std::string_view name,
                                     const nlohmann::ordered_json& arguments);
  [[nodiscard]] Result<void> send(const std::string& text);
  [[nodiscard]] Result<void> poll_progress(Polling& polling);
  [[nodiscard]] Result<void> take_other(Polling& polling, const nlohmann::json& answer);
  [[nodiscard]] Result<void> take_progress(Polling& polling, const Result<std::string>& answer);
  [[nodiscard]] Result<std::optional<std::string>> line(Clock::time_point until);
  [[nodiscard]] std::unexpected<Error> ended(std::string_view how);
  [[nodiscard]] bool was_asked(const nlohmann::json& id) const;
  [[nodiscard]] Result<std::string> text_of(const nlohmann::json& answer) const;

  UniqueFd channel_;
  Link* link_;
  std::set<std::string, std::less<>> calls_;
  std::string received_;
  uint64_t last_id_ = 0;
};

}  // namespace backupkit
