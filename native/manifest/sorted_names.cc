#include "native/manifest/sorted_names.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "native/io/read.h"
#include "native/io/tmpfile.h"
#include "native/io/write.h"

namespace backupkit {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20U;
constexpr uint64_t kPage = 4096;

}  // namespace

Result<SortedNames> SortedNames::read(BorrowedFd directory, BorrowedFd place,
                                      std::span<char> buffer) {
  SortedNames sorted;
  size_t held = 0;
  size_t most = kMostBytes;
  const auto take = [&](DirectoryName name) {
    held += sizeof(name) + name.text.size();
    sorted.names_.push_back(std::move(name));
    if (held < most) return true;
    held = 0;
    if (!sorted.write_run(place)) most = std::numeric_limits<size_t>::max();
    return true;
  };
  if (auto done = each_name(directory, buffer, take); !done) return failure(done.error());
  if (auto begun = sorted.begin(); !begun) return failure(begun.error());
  return sorted;
}

SortedNames SortedNames::of(std::vector<DirectoryName> names) {
  SortedNames sorted;
  sorted.names_ = std::move(names);
  return sorted;
}

std::span<const DirectoryName> SortedNames::left() const {
  return runs_.empty() ? std::span(names_).subspan(next_) : std::span<const DirectoryName>();
}

// False: the names stay in memory.
bool SortedNames::write_run(BorrowedFd place) {
  if (!file_.is_open()) {
    auto made = unnamed_file(place);
    if (!made) return false;
    file_ = std::move(*made);
  }
  settle_names(names_);
  std::string text;
  for (const auto& [name, kind] : names_) {
    text.append(1, static_cast<char>(kind)).append(name).append(1, '\0');
  }
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  if (!write_all(file_.borrow(), bytes, "names")) return false;
  runs_.push_back({.at = size_, .end = size_ + text.size()});
  size_ += text.size();
  names_.clear();
  return true;
}

// When all was read.
Result<void> SortedNames::begin() {
  settle_names(names_);
  for (Run& run : runs_) {
    if (auto has_one = advance(run); !has_one) return failure(has_one.error());
  }
  std::ranges::make_heap(runs_, std::ranges::greater(), &first_of);
  return {};
}

// Takes the next name of the run out of it. False: there is none.
Result<bool> SortedNames::advance(Run& run) const {
  for (;;) {
    // The kind may be 0 itself.
    const auto end = run.text.find('\0', run.used + 1);
    if (end != std::string::npos) {
      run.first.kind = static_cast<unsigned char>(run.text[run.used]);
      run.first.text.assign(run.text, run.used + 1, end - run.used - 1);
      run.used = end + 1;
      return true;
    }
    if (run.at == run.end) return false;
    run.text.erase(0, run.used);
    run.used = 0;
    const size_t left = run.text.size();
    const auto more = static_cast<size_t>(std::min(kPage, run.end - run.at));
    run.text.resize(left + more);
    auto whole = read_exactly(file_.borrow(), std::span(run.text).subspan(left), run.at);
    if (!whole) return failure(whole.error().in("the names in a directory"));
    if (!*whole) return failure(Error::from_errno(EIO, "the names in a directory"));
    run.at += more;
  }
}

Result<std::optional<DirectoryName>> SortedNames::next() {
  for (;;) {
    auto taken = take_smallest();
    if (!taken) return taken;
    const auto& name = *taken;
    if (name && name->text == last_) continue;  // it is in two runs
    if (name) last_ = name->text;
    return taken;
  }
}

Result<std::optional<DirectoryName>> SortedNames::take_smallest() {
  const bool has_names = next_ < names_.size();
  if (has_names && (runs_.empty() || names_[next_].text < runs_.front().first.text)) {
    return std::move(names_[next_++]);
  }
  if (runs_.empty()) return std::nullopt;
  std::ranges::pop_heap(runs_, std::ranges::greater(), &first_of);
  Run& run = runs_.back();
  auto name = std::move(run.first);
  auto has_more = advance(run);
  if (!has_more) return failure(has_more.error());
  if (*has_more) {
    std::ranges::push_heap(runs_, std::ranges::greater(), &first_of);
  } else {
    runs_.pop_back();
  }
  return name;
}

}  // namespace backupkit
