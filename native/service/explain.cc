#include "native/service/explain.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "native/base/syscall.h"
#include "native/manifest/index.h"
#include "native/manifest/rules.h"
#include "native/service/catalog.h"

namespace backupkit {
namespace {

constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

// What there is at a path; the first link above it, which the walk does not follow.
struct Place {
  std::optional<uint32_t> mode;
  std::string link;
};

Place look_at(BorrowedFd root, const Bundle& bundle, const std::string& path) {
  Place place;
  const UniqueFd sandbox(
      retry([&] { return ::openat(root.get(), bundle.sandbox.path.c_str(), kFlags); }));
  if (!sandbox.is_open()) return place;
  for (size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const auto step = path.substr(0, end);
    struct stat status{};
    if (::fstatat(sandbox.get(), step.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return place;
    if (end == std::string::npos) {
      place.mode = status.st_mode;
    } else if (S_ISLNK(status.st_mode)) {
      place.link = step;
      return place;
    }
  }
  return place;
}

std::string sentence(const Rules& rules, const std::string& path, const Rules::Explanation& found) {
  const auto rule = rules.name_of(found.judgement);
  const bool is_own = found.decided_at == path;
  switch (found.judgement.verdict) {
    case Rules::Verdict::kTake:
      if (found.decided_at == ".") return quoted(path) + " is backed up: " + rule + " takes all";
      return quoted(path) + " is backed up: " + rule + " takes " +
             (is_own ? "it" : quoted(found.decided_at) + " and all below it");
    case Rules::Verdict::kDescend:
      return quoted(path) + " is backed up as a directory when something below it is: " + rule +
             " may";
    case Rules::Verdict::kExclude:
      return quoted(path) + " is left out: " + rule +
             (is_own ? " matches it"
                     : " leaves out " + quoted(found.decided_at) + " and all below it");
    case Rules::Verdict::kOutside:
      return quoted(path) + " is left out: no " + (rules.are_default() ? "default " : "") +
             "include reaches " + (is_own ? "it" : quoted(found.decided_at));
  }
  return {};
}

}  // namespace

Result<std::string> explain(BorrowedFd root, const std::string& name, std::string_view text) {
  auto bundle = read_bundle(root, name);
  if (!bundle) return failure(bundle.error());
  bool is_directory = text.ends_with('/');
  while (text.starts_with('/')) text.remove_prefix(1);
  while (text.ends_with('/')) text.remove_suffix(1);
  const std::string path(text.empty() ? "." : text);
  if (path != "." && !is_inner_path(path)) {
    return failure(Code::kInvalidArgument, quoted(path) + " is no path inside a sandbox");
  }
  const Place place = look_at(root, *bundle, path);
  is_directory = place.mode ? S_ISDIR(*place.mode) : is_directory || path == ".";
  const Rules rules = Rules::configured(bundle->includes, bundle->excludes);
  std::string said = sentence(rules, path, rules.explain(path, is_directory));
  if (!place.link.empty()) {
    said += "\n" + quoted(place.link) + " is a symbolic link: it is stored as one, not followed";
  } else if (!place.mode) {
    said += "\nnothing is there now";
  } else if (S_ISSOCK(*place.mode)) {
    said += "\nit is a socket, which cannot be stored";
  }
  if (!bundle->allowed) {
    said += "\nbundle " + quoted(name) + " is not backed up at all: allowToBackupRestore is false";
  }
  return said;
}

int explain_main(int argc, char** argv) {
  if (argc != 5) {
    (void)std::fputs("usage: backupd --explain ROOT BUNDLE PATH\n", stderr);
    return 2;
  }
  const UniqueFd root(retry([&] { return ::open(argv[2], kFlags); }));
  auto said = root.is_open() ? explain(root.borrow(), argv[3], argv[4])
                             : Result<std::string>(errno_failure(quoted(argv[2])));
  (void)std::fputs((said ? *said : said.error().context).c_str(), said ? stdout : stderr);
  (void)std::fputs("\n", said ? stdout : stderr);
  return said ? 0 : 1;
}

}  // namespace backupkit
