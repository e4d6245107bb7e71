#include "native/extension/main.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "native/extension/backup.h"
#include "native/extension/backup_directory.h"
#include "native/extension/confinement.h"
#include "native/extension/hook.h"
#include "native/extension/report.h"
#include "native/extension/restore.h"
#include "native/extension/transaction.h"

namespace backupkit {
namespace {

constexpr int kChannelFd = 3;

void prepare() {
  // A lease that somebody breaks sends SIGIO, whose default action kills.
  (void)std::signal(SIGIO, SIG_IGN);
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)::umask(077);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);  // the walk manages with what it has
  }
}

// -1 stands for none.
std::optional<uint32_t> read_id(ByteReader& reader) {
  const auto id = reader.get<int64_t>();
  if (id < 0) return std::nullopt;
  return static_cast<uint32_t>(id);
}

// Becomes who works in the sandbox, to whom nothing else is open.
Result<UniqueFd> enter(BorrowedFd root, const SandboxPlace& place, bool restores) {
  auto sandbox = open_sandbox(root, place.path);
  if (!sandbox) return sandbox;
  auto user = user_of(sandbox->borrow(), place);
  if (!user) return failure(user.error());
  const auto becomes = ::geteuid() == 0 ? std::optional(*user) : std::nullopt;
  if (auto dropped = drop_privileges(becomes); !dropped) return failure(dropped.error());
  if (auto confined = confine_to(sandbox->borrow(), restores); !confined) {
    return failure(confined.error());
  }
  return sandbox;
}

// What a Start brings.
struct Job {
  SessionKind kind{};
  UniqueFd sandbox;
  Settings settings;
  UniqueFd hook;
  UniqueFd manifest;
};

Result<Job> read_start(Frame start, Link& link) {
  ByteReader reader(start.body);
  Job job;
  job.kind = static_cast<SessionKind>(reader.get<uint8_t>());
  const auto attachments = reader.get<uint8_t>();
  const auto window = reader.get<uint32_t>();
  SandboxPlace place;
  place.path = reader.get_text(kMaxText);
  place.uid = read_id(reader);
  place.gid = read_id(reader);
  const bool has_hook = (attachments & kHasHook) != 0;
  const bool has_manifest = (attachments & kHasManifest) != 0;
  const size_t expected = 2 + static_cast<size_t>(has_hook) + static_cast<size_t>(has_manifest);
  if (start.type != FrameType::kStart || start.fds.size() != expected || !reader.done()) {
    return failure(Code::kIpc, "the first frame is not a start");
  }
  // Before anything is read that was not the service's own.
  auto sandbox = enter(start.fds[0].borrow(), place, job.kind == SessionKind::kRestore);
  if (!sandbox) return failure(sandbox.error());
  job.sandbox = std::move(*sandbox);
  start.fds[0].reset();
  auto settings = Settings::read(start.fds[1].borrow());
  if (!settings) return failure(settings.error());
  job.settings = std::move(*settings);
  job.settings.is_incremental = job.kind == SessionKind::kIncremental;
  if (has_hook) job.hook = std::move(start.fds[2]);
  if (has_manifest) job.manifest = std::move(start.fds.back());
  if (job.kind != SessionKind::kRestore) link.limit_window(window);
  return job;
}

// Ends what an earlier restore has left in the sandbox.
Result<std::string> recover(const Job& job, RecoveryPlan plan, Hook& hook, Link& link) {
  const auto restored = [&](const std::string& text) -> Result<void> {
    auto settings = Settings::parse(text);
    if (!settings) return failure(settings.error());
    auto report = hook.on_restore(*settings);
    if (!report) return failure(report.error());
    return {};
  };
  auto recovered = recover(job.sandbox.borrow(), plan, restored);
  if (!recovered) return failure(recovered.error().in("an interrupted restore"));
  std::string done(describe(*recovered));
  if (!done.empty()) {
    if (auto told = link.recovered(done); !told) return failure(told.error());
  }
  return done;
}

Result<void> answer_call(const Job& job, Hook& hook, Link& link) {
  const auto call = static_cast<AppCall>(job.settings.app_call);
  if (call == AppCall::kRecover) {
    auto done = recover(job, {.undoes = job.settings.app_info == "undo"}, hook, link);
    if (!done) return failure(done.error());
    return link.report(*done);
  }
  if (call == AppCall::kCleanTemp) {
    if (auto done = recover(job, {.undoes = true, .drops = true}, hook, link); !done)
      return failure(done.error());
    auto removed = remove_backup_directory(job.sandbox.borrow());
    if (!removed) return failure(removed.error());
    return link.report(*removed ? "true" : "false");
  }
  auto text = hook.answer(call, job.settings.app_info);
  if (!text) return failure(text.error());
  return link.report(*text);
}

// Leaves nothing in the sandbox's `.backup` for the app, unless all that is there is to stay.
Result<void> empty_for_the_app(const Job& job) {
  if (job.settings.keeps_directory) return {};
  return empty_backup_directory(job.sandbox.borrow());
}

Result<void> make_ready(const Job& job, Hook& hook, Link& link) {
  auto recovered = recover(job, {.waits = true}, hook, link);
  if (!recovered) return failure(recovered.error());
  return empty_for_the_app(job);
}

// What is to be told as the result. `standing` is set by a restore.
Result<void> serve(Job& job, Link& link, std::optional<Transaction>& standing) {
  auto hook = Hook::greet(std::move(job.hook), link);
  Result<void> served;
  if (!hook) {
    served = failure(hook.error());
  } else if (job.kind == SessionKind::kAppCall) {
    return answer_call(job, *hook, link);
  } else if (auto ready = make_ready(job, *hook, link); !ready) {
    served = failure(ready.error());
  } else if (job.kind == SessionKind::kRestore) {
    auto restored = restore(job.sandbox.borrow(), job.settings, *hook, link);
    if (restored) {
      standing.emplace(std::move(*restored));
    } else {
      served = failure(restored.error());
    }
  } else {
    served = back_up(job.sandbox.borrow(), job.settings, std::move(job.manifest), *hook, link);
    auto emptied = empty_for_the_app(job);
    if (served && !emptied) served = failure(emptied.error());
  }
  if (!served && served.error().code == Code::kExtensionThrew) {
    if (auto told = link.report(failure_report(served.error())); !told) return told;
  }
  return served;
}

}  // namespace

int extension_main(LinkTime time) {
  prepare();
  Link link(UniqueFd(kChannelFd), std::move(time));
  auto start = link.next();
  if (!start) return 0;  // the service has gone
  auto job = read_start(std::move(*start), link);
  std::optional<Transaction> standing;
  Result<void> served = job ? link.opened() : failure(job.error());
  if (served) served = serve(*job, link, standing);
  if (!served && served.error().code == Code::kClosed) return 0;
  std::optional<Error> error;
  if (!served) error = served.error();
  auto told = standing ? link.done_and_heard() : link.done(error);
  // A service that has heard nothing has the restore undone. When it has gone, nobody is left to
  // tell, and the new data stand all the same.
  const bool stands = told || told.error().code == Code::kClosed;
  const bool is_finished = !standing || (stands && standing->finish());
  return told && is_finished ? 0 : 1;
}

}  // namespace backupkit
