#include "native/service/survey.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"
#include "native/manifest/scan.h"
#include "native/protocol/channel.h"
#include "native/service/catalog.h"

namespace backupkit {
namespace {

using nlohmann::json;

constexpr int kChannelFd = 3;

struct Sizes {
  uint64_t all = 0;
  uint64_t since = 0;   // of what changed since then
  std::string problem;  // what was not counted and why
};

Result<Sizes> measure(BorrowedFd root, const Bundle& bundle, int64_t since) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const UniqueFd sandbox(
      retry([&] { return ::openat(root.get(), bundle.sandbox.c_str(), kFlags); }));
  if (!sandbox.is_open()) return errno_failure("sandbox '" + bundle.sandbox + "'");
  const auto rules = Rules::configured(bundle.includes, bundle.excludes);
  Sizes sizes;
  std::set<std::pair<uint64_t, uint64_t>> linked;  // counted already, of those with several names
  ScanHandlers handlers;
  handlers.visit = [&](const ScanEntry& found) -> Result<void> {
    if (!S_ISREG(found.mode)) return {};
    if (found.links > 1 && !linked.emplace(found.device, found.inode).second) return {};
    sizes.all += occupied(found);
    if (found.mtime.seconds >= since || found.ctime.seconds >= since)
      sizes.since += occupied(found);
    return {};
  };
  handlers.miss = [&](const Missed& missed) -> Result<void> {
    if (missed.fate == Fate::kUnreadable && sizes.problem.empty()) {
      sizes.problem = "not counted: " + Error::from_errno(missed.sys_errno, missed.path).message();
    }
    return {};
  };
  auto scanned = scan(sandbox.borrow(), rules, handlers);
  if (!scanned) return failure(scanned.error());
  return sizes;
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
  if (bundle && bundle->allowed && scope.measures) sizes = measure(root, *bundle, wanted.seconds);
  std::string problem = sizes ? sizes->problem : sizes.error().message();
  if (!bundle) problem = bundle.error().message();
  if (!problem.empty()) findings.problems.push_back({{"bundle", wanted.name}, {"error", problem}});
  if (!bundle) return;
  json info = capability_of(*bundle);
  const auto known = sizes.value_or(Sizes{});
  if (scope.measures) info["spaceOccupied"] = known.all;
  if (scope.measures && scope.times) info["increSpaceOccupied"] = known.since;
  findings.infos.push_back(std::move(info));
}

// The capability file that a request asks for.
Result<std::string> answer(const Frame& frame) {
  if (frame.fds.size() != 2) return failure(Code::kIpc, "the first frame is not a request");
  auto bytes = read_sealed(frame.fds[1].borrow(), kMaxListBytes);
  if (!bytes) return failure(bytes.error());
  ByteReader reader(*bytes);
  ServiceSettings settings;
  settings.device_type = reader.get_text(kMaxListBytes);
  settings.system_name = reader.get_text(kMaxListBytes);
  SurveyScope scope{.measures = reader.get<uint8_t>() != 0};
  if (reader.get<uint8_t>() != 0) {
    auto list = decode_times(reader.take(reader.left()));
    if (!list) return failure(list.error());
    scope.times = std::move(*list);
  }
  return survey(frame.fds[0].borrow(), settings, scope);
}

Result<void> serve(const Channel& channel) {
  auto arrival = channel.receive();
  if (!arrival) return failure(arrival.error());
  if (arrival->frames.size() != 1) return failure(Code::kIpc, "the first message is no request");
  auto text = answer(arrival->frames[0]);
  if (!text) return failure(text.error());
  const auto* raw = reinterpret_cast<const uint8_t*>(text->data());
  auto file = sealed_memfd("capabilities", std::span(raw, text->size()));
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
  writer.put(static_cast<uint8_t>(scope.measures));
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
