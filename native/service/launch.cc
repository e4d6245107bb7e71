#include "native/service/launch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/base/syscall.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

Result<UniqueFd> open_sandbox(const LaunchPlan& plan) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const auto& path = plan.bundle.sandbox;
  UniqueFd sandbox(retry([&] { return ::openat(plan.root.get(), path.c_str(), kFlags); }));
  if (!sandbox.is_open()) return errno_failure("sandbox '" + path + "'");
  return sandbox;
}

Result<Owner> owner_of(const Bundle& bundle, BorrowedFd sandbox) {
  struct stat found{};
  if (::fstat(sandbox.get(), &found) != 0) return errno_failure(bundle.sandbox);
  const Owner owner{bundle.uid.value_or(found.st_uid), bundle.gid.value_or(found.st_gid)};
  if (::geteuid() != 0 && owner.uid != ::geteuid()) {
    return failure(Code::kNotPermitted, "bundle '" + bundle.name + "' belongs to uid " +
                                            std::to_string(owner.uid) +
                                            "; only a service that runs as root can serve it");
  }
  return owner;
}

Result<std::unique_ptr<HookProcess>> start_hook(Loop& loop, const LaunchPlan& plan,
                                                BorrowedFd sandbox, const Owner& owner,
                                                std::function<void()> exit) {
  if (plan.bundle.hook.empty()) return std::unique_ptr<HookProcess>();
  HookPlan hook;
  hook.program.bundle = plan.bundle.name;
  hook.program.uid = owner.uid;
  hook.program.gid = owner.gid;
  hook.program.reads = plan.bundle.hook_reads;
  hook.program.writes = plan.bundle.hook_writes;
  hook.program.command = plan.bundle.hook;
  hook.root = plan.root;
  hook.sandbox = sandbox;
  return HookProcess::start(loop, hook, std::move(exit));
}

// The extension's first frame.
Result<Frame> start_frame(LaunchPlan& plan, UniqueFd sandbox, UniqueFd settings,
                          const HookProcess* hook) {
  FrameBuilder start(FrameType::kStart);
  const auto attachments = static_cast<uint8_t>((hook != nullptr ? kHasHook : 0) |
                                                (plan.manifest.is_open() ? kHasManifest : 0));
  start.number(static_cast<uint8_t>(plan.kind)).number(attachments).number(plan.window);
  start.fd(std::move(sandbox)).fd(std::move(settings));
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
  auto sandbox = open_sandbox(plan);
  if (!sandbox) return failure(sandbox.error());
  auto owner = owner_of(plan.bundle, sandbox->borrow());
  if (!owner) return failure(owner.error());
  const std::span bytes(reinterpret_cast<const uint8_t*>(plan.settings.data()),
                        plan.settings.size());
  auto settings = sealed_memfd("settings", bytes);
  if (!settings) return failure(settings.error());
  Launch launched;
  auto hook = start_hook(loop, plan, sandbox->borrow(), *owner, std::move(hook_exit));
  if (!hook) return failure(hook.error());
  launched.hook = std::move(*hook);
  std::vector<std::string> arguments = {"--extension"};
  if (::geteuid() == 0) {
    arguments.push_back(std::to_string(owner->uid));
    arguments.push_back(std::to_string(owner->gid));
  }
  auto extension = Worker::start(loop, arguments, std::move(handlers));
  if (!extension) return failure(extension.error());
  launched.extension = std::move(*extension);
  auto start = start_frame(plan, std::move(*sandbox), std::move(*settings), launched.hook.get());
  if (!start) return failure(start.error());
  launched.extension->say(std::move(*start));
  return launched;
}

}  // namespace backupkit
