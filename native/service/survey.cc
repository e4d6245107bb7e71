#include "native/service/survey.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"
#include "native/protocol/channel.h"
#include "native/service/catalog.h"
#include "native/service/sizes.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr int kChannelFd = 3;

Result<Sizes> sizes_of(BorrowedFd root, const Bundle& bundle, const SurveyScope& scope,
                       int64_t since) {
  if (!bundle.allowed || scope.sizing == Sizing::kNone) return Sizes{};
  if (scope.sizing == Sizing::kEstimate) return estimate_sizes(root, bundle, scope.patience);
  return count_sizes(root, bundle, since, scope.patience);
}

json capability_of(const Bundle& bundle) {
  const auto colon = bundle.name.find(':');
  json info = json::parse(bundle.published);
  info["name"] = bundle.name;
  info["appIndex"] = colon == std::string::npos ? 0 : std::stoi(bundle.name.substr(colon + 1));
  info["versionCode"] = bundle.version_code;
  info["versionName"] = bundle.version_name;
  info["extensionName"] = bundle.extension_name;
  info["allToBackup"] = bundle.allowed;
  info["needToInstall"] = bundle.need_to_install;
  return info;
}

Result<std::vector<BundleTime>> every_bundle(BorrowedFd root) {
  auto names = installed_bundles(root);
  if (!names) return failure(names.error());
  std::vector<BundleTime> all;
  for (auto& name : *names) all.push_back({std::move(name), 0});
  return all;
}

struct Findings {
  json infos = json::array();
  json problems = json::array();
};

// Adds what there is to say of one bundle.
void look_at(BorrowedFd root, const BundleTime& wanted, const SurveyScope& scope,
             Findings& findings) {
  auto bundle = read_bundle(root, wanted.name);
  if (!bundle && scope.times && bundle.error().code == Code::kNotAdded &&
      bundle.error().sys_errno == ENOENT) {
    return;  // asked for and not installed
  }
  Result<Sizes> sizes;
  if (bundle) sizes = sizes_of(root, *bundle, scope, wanted.seconds);
  std::string problem = sizes ? sizes->problem : sizes.error().message();
  if (!bundle) problem = bundle.error().message();
  if (!problem.empty()) findings.problems.push_back({{"bundle", wanted.name}, {"error", problem}});
  if (!bundle) return;
  json info = capability_of(*bundle);
  const auto known = sizes.value_or(Sizes{});
  if (scope.sizing != Sizing::kNone) info["spaceOccupied"] = known.all;
  if (scope.sizing != Sizing::kNone && scope.times) info["increSpaceOccupied"] = known.since;
  findings.infos.push_back(std::move(info));
}

// What a request asks for.
struct Asked {
  ServiceSettings settings;
  SurveyScope scope;
};

Result<Asked> read_request(const Frame& frame) {
  if (frame.fds.size() != 2) return failure(Code::kIpc, "the first frame is not a request");
  auto bytes = read_sealed(frame.fds[1].borrow(), kMaxListBytes);
  if (!bytes) return failure(bytes.error());
  ByteReader reader(*bytes);
  Asked asked;
  asked.settings.device_type = reader.get_text(kMaxListBytes);
  asked.settings.system_name = reader.get_text(kMaxListBytes);
  asked.scope.sizing = static_cast<Sizing>(reader.get<uint8_t>());
  asked.scope.reports = reader.get<uint8_t>() != 0;
  asked.scope.patience = std::chrono::milliseconds(reader.get<int64_t>());
  if (reader.get<uint8_t>() != 0) {
    auto list = decode_times(reader.take(reader.left()));
    if (!list) return failure(list.error());
    asked.scope.times = std::move(*list);
  }
  return asked;
}

Result<void> send_file(const Channel& channel, const std::string& text) {
  const auto* raw = reinterpret_cast<const uint8_t*>(text.data());
  auto file = sealed_memfd("capabilities", std::span(raw, text.size()));
  if (!file) return failure(file.error());
  auto sent = channel.send(FrameBuilder(FrameType::kFile)
                               .number(uint64_t{0})
                               .text("capabilities")
                               .error(std::nullopt)
                               .fd(std::move(*file))
                               .build());
  if (!sent) return failure(sent.error());
  if (*sent == Sent::kTooManyInFlight) {
    return failure(Code::kOutOfMemory, "too many descriptors are under way");
  }
  return {};
}

// A bundle of the request with its size, as onBackupSizeReport has it.
json scanned(BorrowedFd root, const Bundle& bundle, const SurveyScope& scope, int64_t since) {
  const auto sizes = sizes_of(root, bundle, scope, since);
  json item = {{"bundleName", bundle.name}, {"dataSize", -1}, {"incDataSize", -1}};
  if (!sizes) item["problem"] = sizes.error().message();
  if (!sizes) return item;
  item["dataSize"] = sizes->all;
  if (sizes->source == Source::kCounted) item["incDataSize"] = sizes->since;
  if (sizes->source == Source::kLastKnown) item["estimate"] = "last known";
  if (sizes->source == Source::kUpperBound) item["estimate"] = "upper bound";
  if (!sizes->problem.empty()) item["problem"] = sizes->problem;
  return item;
}

// One report for each bundle that is installed, or one without any.
Result<void> report_sizes(const Channel& channel, BorrowedFd root, const SurveyScope& scope) {
  std::vector<std::pair<Bundle, int64_t>> bundles;
  std::set<std::string> seen;
  for (const auto& [name, since] : scope.times.value_or(std::vector<BundleTime>())) {
    auto bundle = seen.insert(name).second ? read_bundle(root, name) : failure(Code::kNotAdded, "");
    if (bundle) bundles.emplace_back(std::move(*bundle), since);
  }
  for (size_t i = 0; i < std::max(size_t{1}, bundles.size()); ++i) {
    json report = {{"scanned", json::array()},
                   {"scanning", i + 1 < bundles.size() ? bundles[i + 1].first.name : ""}};
    if (i < bundles.size()) {
      report["scanned"].push_back(scanned(root, bundles[i].first, scope, bundles[i].second));
    }
    const auto text = report.dump(-1, ' ', false, json::error_handler_t::replace);
    auto sent = channel.send(FrameBuilder(FrameType::kReport).text(text).build());
    if (!sent) return failure(sent.error());
  }
  return {};
}

Result<void> serve(const Channel& channel) {
  auto arrival = channel.receive();
  if (!arrival) return failure(arrival.error());
  if (arrival->frames.size() != 1) return failure(Code::kIpc, "the first message is no request");
  const auto& frame = arrival->frames[0];
  auto asked = read_request(frame);
  if (!asked) return failure(asked.error());
  const auto root = frame.fds[0].borrow();
  if (asked->scope.reports) return report_sizes(channel, root, asked->scope);
  auto text = survey(root, asked->settings, asked->scope);
  if (!text) return failure(text.error());
  return send_file(channel, *text);
}

}  // namespace

Result<std::string> survey(BorrowedFd root, const ServiceSettings& settings,
                           const SurveyScope& scope) {
  auto wanted = scope.times ? *scope.times : every_bundle(root);
  if (!wanted) return failure(wanted.error());
  Findings findings;
  std::set<std::string> seen;
  for (const auto& bundle : *wanted) {
    if (seen.insert(bundle.name).second) look_at(root, bundle, scope, findings);
  }
  json file = {{"bundleInfos", std::move(findings.infos)},
               {"deviceType", settings.device_type},
               {"systemFullName", settings.system_name},
               {"backupVersion", kBackupVersion}};
  if (!findings.problems.empty()) file["problems"] = std::move(findings.problems);
  return file.dump(1, ' ', false, json::error_handler_t::replace);
}

Result<Frame> survey_request(BorrowedFd root, const ServiceSettings& settings,
                             const SurveyScope& scope) {
  ByteWriter writer;
  writer.put_text(settings.device_type);
  writer.put_text(settings.system_name);
  writer.put(static_cast<uint8_t>(scope.sizing));
  writer.put(static_cast<uint8_t>(scope.reports));
  writer.put(int64_t{std::min(scope.patience, settings.idle_limit).count()});
  writer.put(static_cast<uint8_t>(scope.times.has_value()));
  if (scope.times) writer.put_bytes(encode_times(*scope.times));
  auto list = sealed_memfd("survey", writer.bytes());
  if (!list) return failure(list.error());
  UniqueFd copy(::fcntl(root.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.is_open()) return errno_failure("duplicate of the device root");
  return FrameBuilder(FrameType::kStart).fd(std::move(copy)).fd(std::move(*list)).build();
}

int survey_main() {
  (void)std::signal(SIGPIPE, SIG_IGN);
  const Channel channel{UniqueFd(kChannelFd)};
  auto served = serve(channel);
  std::optional<Error> error;
  if (!served) error = served.error();
  return channel.send(FrameBuilder(FrameType::kDone).error(error).build()) ? 0 : 1;
}

}  // namespace backupkit
