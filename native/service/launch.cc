#include "native/service/launch.h"

#include <fcntl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "native/base/log.h"
#include "native/base/syscall.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

Result<std::unique_ptr<HookProcess>> start_hook(Loop& loop, const LaunchPlan& plan,
                                                std::function<void()> exit) {
  if (plan.bundle.hook.empty()) return std::unique_ptr<HookProcess>();
  HookProgram program;
  program.bundle = plan.bundle.name;
  program.sandbox = plan.bundle.sandbox;
  program.reads = plan.bundle.hook_reads;
  program.writes = plan.bundle.hook_writes;
  program.command = plan.bundle.hook;
  return HookProcess::start(loop, std::move(program), plan.root, std::move(exit));
}

int64_t number_of(const std::optional<uint32_t>& id) { return id ? int64_t{*id} : -1; }

// The extension's first frame.
Result<Frame> start_frame(LaunchPlan& plan, UniqueFd settings, const HookProcess* hook) {
  UniqueFd root(::fcntl(plan.root.get(), F_DUPFD_CLOEXEC, 0));
  if (!root.is_open()) return errno_failure("duplicate of the device root");
  FrameBuilder start(FrameType::kStart);
  const auto attachments = static_cast<uint8_t>((hook != nullptr ? kHasHook : 0) |
                                                (plan.manifest.is_open() ? kHasManifest : 0));
  start.number(static_cast<uint8_t>(plan.kind)).number(attachments).number(plan.window);
  const auto& place = plan.bundle.sandbox;
  start.text(place.path).number(number_of(place.uid)).number(number_of(place.gid));
  start.fd(std::move(root)).fd(std::move(settings));
  if (hook != nullptr) {
    auto channel = hook->channel();
    if (!channel) return failure(channel.error());
    start.fd(std::move(*channel));
  }
  if (plan.manifest.is_open()) start.fd(std::move(plan.manifest));
  return start.build();
}

}  // namespace

Result<Launch> launch(Loop& loop, LaunchPlan plan, Worker::Handlers handlers,
                      std::function<void()> hook_exit) {
  const std::span bytes(reinterpret_cast<const uint8_t*>(plan.settings.data()),
                        plan.settings.size());
  auto settings = sealed_memfd("settings", bytes);
  if (!settings) return failure(settings.error());
  if (plan.stuck != nullptr && plan.stuck->contains(plan.bundle.name)) {
    return failure(Code::kTimedOut,
                   "an earlier extension of '" + plan.bundle.name +
                       "' was killed and does not end before its file system answers");
  }
  Launch launched;
  auto hook = start_hook(loop, plan, std::move(hook_exit));
  if (!hook) return failure(hook.error());
  launched.hook = std::move(*hook);
  auto extension = Worker::start(loop, {"--extension"}, std::move(handlers));
  if (!extension) return failure(extension.error());
  launched.extension = std::move(*extension);
  auto start = start_frame(plan, std::move(*settings), launched.hook.get());
  if (!start) return failure(start.error());
  launched.extension->say(std::move(*start));
  return launched;
}

void note_stuck(std::set<std::string>& stuck, const std::string& bundle, Worker& extension) {
  log_line(LogLevel::kWarning, "the extension of '" + bundle +
                                   "' was killed and does not end: it waits in the kernel, as "
                                   "for a file system that does not answer");
  stuck.insert(bundle);
  extension.when_gone([&stuck, bundle] { stuck.erase(bundle); });
}

}  // namespace backupkit
