#include "native/service/caller.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "native/base/log.h"

namespace backupkit {

std::string Caller::name() const {
  return "process " + std::to_string(credentials.pid) + " (uid " + std::to_string(credentials.uid) +
         ")";
}

void Caller::reply(uint32_t request, const Result<void>& result, LogLevel level) {
  std::optional<Error> error;
  if (!result) {
    error = result.error();
    // Who replaces a request or ends it has not failed.
    if (error->code == Code::kCancelled) level = LogLevel::kDebug;
    ++metrics.requests_failed;
    log_failure(level == LogLevel::kDebug ? level : when_told(level), "a request of " + name(),
                *error);
  }
  peer->say(reply_frame(request, error));
}

void Caller::reply_text(uint32_t request, std::string_view text) {
  peer->say(reply_frame(request, std::nullopt, text));
}

void Caller::reply_file(uint32_t request, UniqueFd file) {
  auto made = reply_frame(request, std::nullopt);
  made.fds.push_back(std::move(file));
  peer->say(std::move(made));
}

}  // namespace backupkit
