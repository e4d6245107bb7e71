#include "native/service/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"
#include "native/service/open_metrics.h"

namespace backupkit {
namespace {

constexpr auto kCounter = OpenMetrics::Type::kCounter;
constexpr auto kGauge = OpenMetrics::Type::kGauge;
constexpr std::array<std::string_view, 3> kKinds = {"backup", "restore", "incremental"};

std::string_view name_of(SessionKind kind) { return kKinds.at(static_cast<size_t>(kind)); }

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// Of this process, by /proc/self/statm (proc(5)); 0 where it cannot be read.
uint64_t resident_bytes() {
  const UniqueFd file(retry([] { return ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC); }));
  const auto bytes = read_file(file.borrow(), 4096);
  if (!bytes) return 0;
  const std::string text(bytes->begin(), bytes->end());
  const auto second = text.find(' ') + 1;
  uint64_t pages = 0;
  (void)std::from_chars(text.data() + second, text.data() + text.size(), pages);
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

uint64_t open_fds() {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir("/proc/self/fd"), &::closedir);
  if (listing == nullptr) return 0;
  uint64_t count = 0;
  while (::readdir(listing.get()) != nullptr) ++count;  // NOLINT(concurrency-mt-unsafe): own DIR
  return count - 3;                                     // `.`, `..` and that of the listing
}

// Writes it all, one group after the other.
class Report {
 public:
  Report(const Metrics& metrics, const ServiceState& state) : metrics_(metrics), state_(state) {}

  std::string text() {
    sessions();
    bundles();
    running();
    work();
    queues();
    process();
    return out_.finish();
  }

 private:
  void one(OpenMetrics::Type type, std::string_view name, std::string_view unit, uint64_t value,
           std::string_view help) {
    out_.family(type, name, unit, help);
    out_.sample({}, value);
  }

  // A gauge of each bundle that runs.
  template <typename Value>
  void each(std::string_view name, std::string_view unit, std::string_view help, Value value) {
    out_.family(kGauge, name, unit, help);
    for (const auto& bundle : state_.running) out_.sample({{"bundle", bundle.name}}, value(bundle));
  }

  void by_code(std::string_view name, const std::map<int32_t, uint64_t>& counts,
               std::string_view help) {
    out_.family(kCounter, name, "", help);
    for (const auto& [code, count] : counts) out_.sample({{"code", std::to_string(code)}}, count);
  }

  void sessions() {
    out_.family(kGauge, "backupkit_sessions_open", "", "Sessions that are open.");
    const auto& session = state_.session;
    for (const auto kind : kKinds) {
      out_.sample({{"kind", kind}}, uint64_t{session && name_of(session->kind) == kind});
    }
    out_.family(kCounter, "backupkit_sessions_opened", "", "Sessions that were opened.");
    for (size_t i = 0; i < kKinds.size(); ++i) {
      out_.sample({{"kind", kKinds.at(i)}}, metrics_.sessions_opened.at(i));
    }
    out_.family(kGauge, "backupkit_session_age_seconds", "seconds",
                "For how long a session has been open, and the process that opened it.");
    if (!session) return;
    out_.sample({{"kind", name_of(session->kind)}, {"pid", std::to_string(session->client)}},
                seconds(session->age));
  }

  void bundles() {
    out_.family(kGauge, "backupkit_bundles_running", "", "Bundles that run, by their phase.");
    std::map<std::string_view, uint64_t> phases;
    for (const auto& bundle : state_.running) ++phases[bundle.phase];
    for (const auto& [phase, count] : phases) out_.sample({{"phase", phase}}, count);
    one(kGauge, "backupkit_bundles_waiting", "", state_.bundles_waiting,
        "Bundles of the open session that have not begun.");
    auto ended = metrics_.bundles_ended;
    ended.try_emplace(0);
    by_code("backupkit_bundles_ended", ended, "Bundles that ended, by code; 0 went well.");
    by_code("backupkit_bundles_refused", metrics_.bundles_refused,
            "Bundles that did not begin, by code.");
    one(kCounter, "backupkit_bundles_timed_out", "", metrics_.bundles_timed_out,
        "Bundles that were ended for want of time or progress.");
  }

  void running() {
    out_.family(kGauge, "backupkit_bundle_phase", "", "1 for the phase of a bundle that runs.");
    for (const auto& bundle : state_.running) {
      out_.sample({{"bundle", bundle.name}, {"phase", bundle.phase}}, uint64_t{1});
    }
    each("backupkit_bundle_age_seconds", "seconds", "For how long a bundle has run.",
         [](const RunningBundle& bundle) { return seconds(bundle.age); });
    each("backupkit_bundle_files", "", "Files handed out of a bundle that runs.",
         [](const RunningBundle& bundle) { return bundle.files; });
    out_.family(kGauge, "backupkit_bundle_content_bytes", "bytes",
                "Content of a bundle that runs, by what became of it so far.");
    for (const auto& bundle : state_.running) {
      const auto& [packed, passed, unpacked] = bundle.moved;
      out_.sample({{"bundle", bundle.name}, {"way", "packed"}}, packed);
      out_.sample({{"bundle", bundle.name}, {"way", "passed"}}, passed);
      out_.sample({{"bundle", bundle.name}, {"way", "unpacked"}}, unpacked);
    }
    out_.family(kGauge, "backupkit_bundle_send_rate", "",
                "Files per second at the most of a bundle that runs; 0 is a pause.");
    for (const auto& bundle : state_.running) {
      if (bundle.rate) out_.sample({{"bundle", bundle.name}}, *bundle.rate);
    }
  }

  void work() {
    one(kCounter, "backupkit_files_handed_out", "", metrics_.files_handed_out,
        "Files handed out to clients.");
    out_.family(kCounter, "backupkit_content_bytes", "bytes",
                "Content of apps' files: packed into archives, passed as it is, unpacked.");
    out_.sample({{"way", "packed"}}, metrics_.moved.packed);
    out_.sample({{"way", "passed"}}, metrics_.moved.passed);
    out_.sample({{"way", "unpacked"}}, metrics_.moved.unpacked);
    one(kCounter, "backupkit_extensions_started", "", metrics_.extensions_started,
        "Processes started to work on a bundle.");
    one(kCounter, "backupkit_extensions_killed", "", metrics_.extensions_killed,
        "Those of them that were killed.");
    one(kGauge, "backupkit_bundles_stuck", "", uint64_t{metrics_.stuck.size()},
        "Bundles with an extension that was killed and has not ended.");
    one(kCounter, "backupkit_connections_accepted", "", metrics_.connections_accepted,
        "Connections of clients.");
    one(kCounter, "backupkit_requests_failed", "", metrics_.requests_failed,
        "Requests that were answered with an error.");
  }

  void queues() {
    uint64_t descriptors = 0;
    uint64_t files = 0;
    for (const auto& bundle : state_.running) {
      descriptors += bundle.descriptors;
      files += bundle.files_waiting;
    }
    one(kGauge, "backupkit_descriptors_in_flight", "", descriptors,
        "Descriptors of files that clients have not taken yet.");
    one(kGauge, "backupkit_files_waiting", "", files, "Files that wait to be handed out.");
    one(kGauge, "backupkit_frames_waiting", "", state_.frames_waiting,
        "Messages that wait for clients to read.");
    one(kGauge, "backupkit_connections", "", state_.connections, "Connections that are open.");
    one(kGauge, "backupkit_questions", "", state_.questions,
        "Requests for which a process is at work.");
  }

  void process() {
    out_.family(kGauge, "backupkit_uptime_seconds", "seconds", "Since the service has started.");
    out_.sample({}, seconds(std::chrono::steady_clock::now() - metrics_.start));
    one(kGauge, "process_resident_memory_bytes", "bytes", resident_bytes(),
        "Resident memory of the service.");
    one(kGauge, "process_open_fds", "", open_fds(), "Open descriptors of the service.");
  }

  const Metrics& metrics_;
  const ServiceState& state_;
  OpenMetrics out_;
};

}  // namespace

int32_t Metrics::known(const std::optional<Error>& error) {
  if (!error) return 0;
  const bool is_known = describe(error->code) != describe(Code::kUnknown);
  return static_cast<int32_t>(is_known ? error->code : Code::kUnknown);
}

std::string metrics_text(const Metrics& metrics, const ServiceState& state) {
  return Report(metrics, state).text();
}

}  // namespace backupkit
