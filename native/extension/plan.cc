#include "native/extension/plan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "native/extension/sqlite_names.h"
#include "native/io/mounts.h"
#include "native/io/path.h"
#include "native/manifest/directory_names.h"
#include "native/manifest/scan.h"

namespace backupkit {
namespace {

std::string joined(const std::string& directory, const std::string& name) {
  return directory == "." ? name : directory + "/" + name;
}

std::string folder_of(const std::string& path) {
  auto folder = parent_name(path);
  return folder.empty() ? "." : folder;
}

bool is_at_or_below(const std::string& path, const std::string& top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

class Planner {
 public:
  Planner(BorrowedFd sandbox, BorrowedFd stage, const Stage& staged)
      : sandbox_(sandbox), stage_(stage), staged_(staged), changes_(staged.changes()) {}

  Result<Journal> plan(const Rules* mirrored) {
    auto mounts = mounts_below(sandbox_);
    if (!mounts) return failure(mounts.error());
    mounts_ = std::move(*mounts);
    if (auto compared = compare_all(); !compared) return failure(compared.error());
    if (auto found = drop_sidecars(); !found) return failure(found.error());
    if (mirrored != nullptr) {
      if (auto found = drop_unlisted(*mirrored); !found) return failure(found.error());
    }
    Journal journal;
    for (auto& [path, step] : steps_) journal.steps.push_back(std::move(step));
    for (auto& [path, change] : changes_) {
      const bool moves = hosts_.contains(path) || change.after != change.before;
      if (moves) journal.changes.push_back(std::move(change));
    }
    return journal;
  }

 private:
  Result<void> compare_all();
  Result<void> compare(const std::string& directory);
  [[nodiscard]] Result<void> check_mounts(const std::string& path) const;
  Result<void> add_step(const Step& step, bool has_directory);
  Result<void> change_directory(const std::string& path);
  Result<void> drop_sidecars();
  Result<void> drop_unlisted(const Rules& rules);
  Result<std::set<std::string>> wholly_in(const std::vector<std::string>& paths);
  Result<void> drop(const std::string& path, bool if_file);
  [[nodiscard]] bool is_below_step(const std::string& path) const;
  [[nodiscard]] bool is_above_step(const std::string& path) const;

  BorrowedFd sandbox_;
  BorrowedFd stage_;
  const Stage& staged_;
  std::vector<std::string> mounts_;
  std::vector<std::string> open_;  // directories of both that are not compared yet
  std::map<std::string, Step> steps_;
  std::map<std::string, MetadataChange> changes_;
  std::vector<char> buffer_ = std::vector<char>(size_t{64} << 10U);
  std::set<std::string> hosts_;  // directories that a step is in: it moves their time
};

Result<void> Planner::compare_all() {
  open_.emplace_back(".");
  while (!open_.empty()) {
    const auto directory = std::move(open_.back());
    open_.pop_back();
    if (auto compared = compare(directory); !compared) {
      return failure(compared.error().in("'" + directory + "'"));
    }
  }
  // Directories of which only the row came, and those that nothing in the stage is below.
  for (const auto& [path, metadata] : staged_.directories()) {
    if (is_below_step(path)) continue;
    if (auto changed = change_directory(path); !changed) return changed;
  }
  return {};
}

Result<void> Planner::compare(const std::string& directory) {
  auto staged = open_beneath(stage_, directory, O_RDONLY | O_DIRECTORY);
  if (!staged) return failure(staged.error());
  auto present = open_beneath(sandbox_, directory, O_PATH | O_DIRECTORY);
  if (!present) return failure(present.error());
  auto names = read_names(staged->borrow(), buffer_);
  if (!names) return failure(names.error());
  for (const auto& [name, kind] : *names) {
    auto comes = identity_of(staged->borrow(), name);
    if (!comes) return failure(comes.error());
    auto goes = identity_of(present->borrow(), name);
    if (!goes) return failure(goes.error());
    if (S_ISDIR(comes->type) && S_ISDIR(goes->type)) {
      open_.push_back(joined(directory, name));
      continue;
    }
    const Step step{joined(directory, name), comes->inode, goes->inode};
    auto added = add_step(step, S_ISDIR(comes->type) || S_ISDIR(goes->type));
    if (!added) return added;
  }
  return {};
}

// No step can be taken across a mount, and none takes away what something is mounted in.
Result<void> Planner::check_mounts(const std::string& path) const {
  for (const auto& mount : mounts_) {
    if (!is_at_or_below(path, mount) && !is_at_or_below(mount, path)) continue;
    const Error error{Code::kNotPermitted, 0, "something is mounted there: unmount it"};
    return failure(error.in("'" + mount + "' in what is replaced"));
  }
  return {};
}

Result<void> Planner::add_step(const Step& step, bool has_directory) {
  if (auto checked = check_mounts(step.path); !checked) return checked;
  steps_.emplace(step.path, step);
  hosts_.insert(folder_of(step.path));
  if (auto changed = change_directory(folder_of(step.path)); !changed) return changed;
  // Whoever moves a directory must be allowed to write it.
  if (!has_directory || ::geteuid() == 0) return {};
  const auto comes = open_beneath(stage_, step.path, O_PATH | O_NOFOLLOW);
  const auto goes = open_beneath(sandbox_, step.path, O_PATH | O_NOFOLLOW);
  MetadataChange change{step.path, {}, std::nullopt};
  if (comes) {
    auto after = read_metadata(comes->borrow());
    if (!after) return failure(after.error());
    change.before = *after;
    change.after = std::move(*after);
    if (auto unlocked = unlock(comes->borrow()); !unlocked) return unlocked;
  }
  if (goes) {
    auto before = read_metadata(goes->borrow());
    if (!before) return failure(before.error());
    change.before = std::move(*before);
  }
  changes_[step.path] = std::move(change);
  return {};
}

// What becomes of a directory that is in the sandbox and stays: what the backup says, else nothing
// but that its time is known for a way back.
Result<void> Planner::change_directory(const std::string& path) {
  if (changes_.contains(path)) return {};
  auto present = open_beneath(sandbox_, path, O_PATH | O_NOFOLLOW);
  if (!present) return failure(present.error());
  auto before = read_metadata(present->borrow());
  if (!before) return failure(before.error());
  MetadataChange change{path, std::move(*before), std::nullopt};
  const auto listed = staged_.directories().find(path);
  if (listed != staged_.directories().end()) change.after = listed->second;
  changes_.emplace(path, std::move(change));
  return {};
}

Result<void> Planner::drop(const std::string& path, bool if_file) {
  auto folder = open_beneath(sandbox_, folder_of(path), O_PATH | O_DIRECTORY);
  if (!folder) return failure(folder.error());
  auto goes = identity_of(folder->borrow(), base_name(path));
  if (!goes) return failure(goes.error());
  if (!goes->exists() || (if_file && !S_ISREG(goes->type))) return {};
  return add_step({path, 0, goes->inode}, S_ISDIR(goes->type));
}

Result<void> Planner::drop_sidecars() {
  for (const auto& database : staged_.databases()) {
    if (is_below_step(folder_of(database))) continue;
    for (const auto suffix : kSqliteSuffixes) {
      const auto sidecar = database + std::string(suffix);
      if (staged_.paths().contains(sidecar)) continue;
      if (auto dropped = drop(sidecar, true); !dropped) return dropped;
    }
  }
  return {};
}

Result<void> Planner::drop_unlisted(const Rules& rules) {
  std::vector<std::string> unlisted;  // a directory before what is in it
  const auto visit = [&](const ScanEntry& found) -> Result<void> {
    const bool stays =
        found.path == "." || staged_.paths().contains(found.path) || is_above_step(found.path);
    if (!stays && !is_below_step(found.path)) unlisted.push_back(found.path);
    return {};
  };
  const auto miss = [](const Missed&) { return Result<void>{}; };  // what cannot be read stays
  auto scanned = scan(sandbox_, rules, {visit, miss});
  if (!scanned) return failure(scanned.error());
  auto whole = wholly_in(unlisted);
  if (!whole) return failure(whole.error());
  for (const auto& path : unlisted) {
    if (!whole->contains(path) || whole->contains(folder_of(path))) continue;
    if (auto dropped = drop(path, false); !dropped) return dropped;
  }
  return {};
}

// Those of the paths that can go as a whole: of directories, the ones in which everything does.
Result<std::set<std::string>> Planner::wholly_in(const std::vector<std::string>& paths) {
  std::set<std::string> whole;
  std::map<std::string, size_t> leaving;
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
    auto directory = open_beneath(sandbox_, *path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const int error = directory ? 0 : directory.error().sys_errno;
    if (!directory && error != ENOTDIR && error != ELOOP && error != ENXIO) {
      return failure(directory.error());
    }
    if (directory) {
      auto names = read_names(directory->borrow(), buffer_);
      if (!names) return failure(names.error().in("'" + *path + "'"));
      if (names->size() != leaving[*path]) continue;
    }
    ++leaving[folder_of(*path)];
    whole.insert(*path);
  }
  return whole;
}

bool Planner::is_below_step(const std::string& path) const {
  for (std::string above = path; !above.empty() && above != "."; above = parent_name(above)) {
    if (steps_.contains(above)) return true;
  }
  return false;
}

bool Planner::is_above_step(const std::string& path) const {
  const auto below = path + "/";
  const auto first = steps_.lower_bound(below);
  return first != steps_.end() && first->first.starts_with(below);
}

}  // namespace

Result<Journal> plan(BorrowedFd sandbox, BorrowedFd stage, const Stage& staged,
                     const Rules* mirrored) {
  return Planner(sandbox, stage, staged).plan(mirrored);
}

}  // namespace backupkit
