// What the service counts, and its text for whoever watches it.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "native/protocol/wire.h"

namespace backupkit {

// Since the service has started. Whoever does what is counted adds to it.
struct Metrics {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  std::array<uint64_t, 3> sessions_opened{};    // by kind
  std::map<int32_t, uint64_t> bundles_ended;    // by code, 0 of those that went well
  std::map<int32_t, uint64_t> bundles_refused;  // that did not begin
  uint64_t files_handed_out = 0;
  Moved moved;
  uint64_t extensions_started = 0;
  uint64_t extensions_killed = 0;
  std::set<std::string> stuck;  // bundles with an extension that was killed and has not ended
  uint64_t bundles_timed_out = 0;
  uint64_t connections_accepted = 0;
  uint64_t requests_failed = 0;

  // A code that an extension has made up counts as an unknown error.
  void count_end(const std::optional<Error>& error) { ++bundles_ended[known(error)]; }
  void count_refusal(const Error& error) { ++bundles_refused[known(error)]; }

 private:
  [[nodiscard]] static int32_t known(const std::optional<Error>& error);
};

// One that has begun and not ended.
struct RunningBundle {
  std::string name;
  std::string_view phase;  // one of a few
  std::chrono::nanoseconds age{};
  uint64_t files = 0;  // handed out
  Moved moved;
  std::optional<double> rate;  // files per second at the most; none: they are not limited in number
  size_t files_waiting = 0;    // in the service, for the client
  size_t descriptors = 0;      // of files that the client has not taken
};

// How the service is at this moment.
struct ServiceState {
  struct OpenSession {
    SessionKind kind{};
    pid_t client = 0;
    std::chrono::nanoseconds age{};
  };
  std::optional<OpenSession> session;
  std::vector<RunningBundle> running;
  size_t bundles_waiting = 0;
  size_t connections = 0;
  size_t questions = 0;       // that processes answer
  size_t frames_waiting = 0;  // for clients that have not read
};

// Both, and what the process uses, as OpenMetrics text. Bundles are named while they run.
[[nodiscard]] std::string metrics_text(const Metrics& metrics, const ServiceState& state);

}  // namespace backupkit
