#include "tests/fuzz/ground.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include "native/extension/journal.h"
#include "tests/fuzz/fuzzer.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> kPaths = {"a",       "d/b", "way/secret",
                                                    "way/new", "new", "."};

void put(const std::string& path, std::string_view text) { std::ofstream(path) << text; }

uint64_t inode_of(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_ino : 0;
}

}  // namespace

Ground::Ground() {
  fs::create_directory(scratch_ / "near");
  put(scratch_ / "near/secret", kSecret);
  fs::create_directory(sandbox_);
  before_ = describe();
}

std::string Ground::describe() const {
  std::string text;
  for (const auto& entry : fs::directory_iterator(scratch_.path())) {
    text += entry.path().filename() == "sandbox" ? "" : entry.path().string() + "\n";
  }
  for (const std::string path : {"near", "near/secret"}) {
    struct stat found{};
    check(::lstat((scratch_ / path).c_str(), &found) == 0);
    for (const auto number : {found.st_ctim.tv_sec, found.st_ctim.tv_nsec, found.st_size}) {
      text += std::to_string(number) + " ";
    }
  }
  return text;
}

void Ground::prepare(ByteReader& choices) const {
  fs::remove_all(sandbox_);
  fs::create_directories(sandbox_ + "/d/c");
  put(sandbox_ + "/a", std::string(100, 'a'));
  put(sandbox_ + "/d/b", "b");
  put(sandbox_ + "/d/c/e", "");
  fs::create_directory_symlink("../near", sandbox_ + "/way");
  fs::create_hard_link(sandbox_ + "/a", sandbox_ + "/again");
  check(::mkfifo((sandbox_ + "/fifo").c_str(), 0600) == 0);
  const auto choice = choices.get<uint8_t>();
  const auto backup = sandbox_ + "/.backup";
  switch (choice % 8) {
    case 4:
      fs::create_directory_symlink("../near", backup);
      break;
    case 5:
      fs::create_directory(backup);
      fs::create_directory_symlink("../../near", backup + "/transaction");
      break;
    case 6:
      fs::create_directories(backup + "/restore");
      fs::create_directory_symlink("../../../near", backup + "/restore/way");
      break;
    case 7:
      leave_transaction(choices);
      break;
    default:
      break;
  }
}

// As an interrupted restore leaves it, with steps that no restore would take.
void Ground::leave_transaction(ByteReader& choices) const {
  const auto transaction = sandbox_ + "/.backup/transaction";
  const auto form = choices.get<uint8_t>();
  fs::create_directories(transaction + "/new/d");
  fs::create_directories(transaction + "/gone");
  if (form % 2 == 0) {
    fs::create_directories(transaction + "/new/way");
  } else {
    fs::create_directory_symlink("../../../../near", transaction + "/new/way");
  }
  if (form >= 192) fs::create_directories(transaction + "/received");
  Journal journal;
  journal.settings = R"({"name":"app"})";
  std::set<std::string_view> seen;
  for (auto steps = form % 4; steps > 0; --steps) {
    const auto path = std::string(kPaths[choices.get<uint8_t>() % kPaths.size()]);
    const auto staged = transaction + "/new/" + path;
    const auto what = choices.get<uint8_t>();
    if (what % 2 == 0 && form % 2 == 0) put(staged, "new");
    const auto inode = inode_of(staged);
    const auto old = what % 3 == 0 ? 0 : inode_of(sandbox_ + "/" + path);
    if (inode != 0 || old != 0) journal.steps.push_back({path, inode, old});
    if (what >= 128) journal.changes.push_back({path, Metadata{0700, 0, 0, {}, {}}, {}});
  }
  put(transaction + (form % 16 < 12 ? "/journal" : "/undo"), write_journal(journal));
}

UniqueFd Ground::open_sandbox() const {
  return UniqueFd(::open(sandbox_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

void Ground::meddle(ByteReader& choices) const {
  std::error_code ignored;  // much of it may be there or gone
  switch (choices.get<uint8_t>() % 5) {
    case 0:
      fs::remove_all(sandbox_ + "/d", ignored);
      fs::create_directory_symlink("../near", sandbox_ + "/d", ignored);
      break;
    case 1:
      put(sandbox_ + "/a", "grown");
      break;
    case 2:
      fs::remove(sandbox_ + "/a", ignored);
      break;
    case 3:
      fs::rename(sandbox_ + "/d", sandbox_ + "/moved", ignored);
      break;
    default:
      fs::remove_all(sandbox_ + "/.backup", ignored);
      fs::create_directory_symlink("../near", sandbox_ + "/.backup", ignored);
      break;
  }
}

}  // namespace backupkit
