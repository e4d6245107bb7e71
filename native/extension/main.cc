#include "native/extension/main.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string_view>

#include "native/base/log.h"
#include "native/extension/backup.h"
#include "native/extension/restore.h"
#include "native/io/tmpfile.h"

namespace backupkit {
namespace {

constexpr int kChannelFd = 3;
constexpr uint64_t kDefaultPackingLimit = 2U << 20;

Result<uint32_t> number_of(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return failure(Code::kInvalidArgument, "'" + std::string(text) + "' is not a number");
  }
  return value;
}

Result<void> drop_to(std::string_view uid_text, std::string_view gid_text) {
  auto uid = number_of(uid_text);
  if (!uid) return failure(uid.error());
  auto gid = number_of(gid_text);
  if (!gid) return failure(gid.error());
  if (::setgroups(0, nullptr) != 0) return errno_failure("setgroups");
  if (::setresgid(*gid, *gid, *gid) != 0) return errno_failure("setresgid");
  if (::setresuid(*uid, *uid, *uid) != 0) return errno_failure("setresuid");
  return {};
}

Result<void> confine(int argc, char** argv) {
  // A lease that somebody breaks sends SIGIO, whose default action kills.
  (void)std::signal(SIGIO, SIG_IGN);
  (void)std::signal(SIGPIPE, SIG_IGN);
  (void)::umask(077);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &files);  // the walk manages with what it has
  }
  if (argc == 4) {
    if (auto dropped = drop_to(argv[2], argv[3]); !dropped) return dropped;
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_failure("no new privileges");
  return {};
}

Result<Settings> read_settings(BorrowedFd file) {
  auto bytes = read_sealed(file, kMaxListBytes);
  if (!bytes) return failure(bytes.error());
  const auto json = nlohmann::json::parse(bytes->begin(), bytes->end(), nullptr, false);
  if (!json.is_object()) return failure(Code::kInvalidArgument, "settings are not JSON");
  Settings settings;
  settings.bundle = json.value("name", "");
  std::vector<std::string> includes = Rules::default_includes();
  if (json.contains("includes")) includes = json.at("includes").get<std::vector<std::string>>();
  settings.rules =
      Rules::make(std::move(includes), json.value("excludes", std::vector<std::string>()));
  settings.packing_limit = json.value("packingLimit", kDefaultPackingLimit);
  settings.hashes_big_files = json.value("integrity", "full") != "none";
  return settings;
}

Result<void> serve(Link& link) {
  auto start = link.next();
  if (!start) return failure(start.error());
  ByteReader reader(start->body);
  const auto kind = static_cast<SessionKind>(reader.get<uint8_t>());
  if (start->type != FrameType::kStart || start->fds.size() != 2 || !reader.done()) {
    return failure(Code::kIpc, "the first frame is not a start");
  }
  auto settings = read_settings(start->fds[1].borrow());
  if (!settings) return failure(settings.error());
  const BorrowedFd sandbox = start->fds[0].borrow();
  return kind == SessionKind::kRestore ? restore(sandbox, link) : back_up(sandbox, *settings, link);
}

}  // namespace

int extension_main(int argc, char** argv) {
  if (auto confined = confine(argc, argv); !confined) {
    log_line("extension: " + confined.error().message());
    return 1;
  }
  Link link{UniqueFd(kChannelFd)};
  auto served = serve(link);
  if (!served && served.error().code == Code::kClosed) return 0;
  std::optional<Error> error;
  if (!served) error = served.error();
  // Nobody is left to tell when the service has gone.
  return link.done(error) ? 0 : 1;
}

}  // namespace backupkit
