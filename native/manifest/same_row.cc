#include "native/manifest/same_row.h"

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "native/manifest/index.h"
#include "native/manifest/manifest.h"
#include "native/manifest/row_cells.h"

namespace backupkit {
namespace {

template <typename T>
void put_cell(std::string& out, T value) {
  put_number(out, value);
  out += ';';
}

// What comes before the column `hash`.
void put_begin(std::string& out, const ScanEntry& found) {
  out.append(found.path) += ';';
  put_cell(out, found.mode);
  put_cell(out, S_ISDIR(found.mode) ? 1 : 0);
  put_cell(out, S_ISREG(found.mode) ? found.size : 0);
  put_cell(out, found.mtime.seconds);
}

// What comes between `isIncremental` and `in`, of a path that is not encoded.
void put_middle(std::string& out, const ScanEntry& found, EntryType type) {
  out.append({';', '0', ';', letter_of(type), ';'});
  put_nanoseconds(out, found.mtime);
  out += ';';
  put_nanoseconds(out, found.ctime);
  out += ';';
  put_cell(out, found.inode);
  put_cell(out, static_cast<uint32_t>(found.uid));
  put_cell(out, static_cast<uint32_t>(found.gid));
}

bool take(std::string_view& line, std::string_view begin) {
  if (!line.starts_with(begin)) return false;
  line.remove_prefix(begin.size());
  return true;
}

// Takes a cell that is not the last.
template <typename IsRight>
bool take_cell(std::string_view& line, const IsRight& is_right) {
  const size_t end = line.find(';');
  if (end == std::string_view::npos || !is_right(line.substr(0, end))) return false;
  line.remove_prefix(end + 1);
  return true;
}

bool is_digest(std::string_view text) { return text.empty() || text == kUnknown || is_xxh3(text); }

// A name that is not the same in a row and on the disk is not compared here.
bool is_plain(std::string_view name) { return name.find_first_of(";%") == name.npos; }

}  // namespace

std::optional<LineHalves> SameRow::halves(std::string_view line, const ScanEntry& found) {
  const auto type = entry_type(found.mode);
  if (!type || found.ctime == Timestamp{}) return std::nullopt;
  if (!is_plain(found.path) || !is_plain(found.link_target)) return std::nullopt;
  std::string_view rest = line;
  text_.clear();
  put_begin(text_, found);
  if (!take(rest, text_) || !take_cell(rest, is_hash)) return std::nullopt;
  const std::string_view before = line.substr(0, line.size() - rest.size());
  if (!take(rest, "0") && !take(rest, "1")) return std::nullopt;
  const std::string_view after = rest;
  text_.clear();
  put_middle(text_, found, *type);
  const auto is_place = [this](std::string_view in) { return this->is_place(in); };
  const auto is_target = [&](std::string_view target) { return target == found.link_target; };
  if (!take(rest, text_) || !take_cell(rest, is_place)) return std::nullopt;
  if (!take_cell(rest, is_target)) return std::nullopt;
  if (!take_cell(rest, is_digest) || !is_digest(rest)) return std::nullopt;
  return LineHalves{before, after};
}

// Most often it is the file that has the entry before, too.
bool SameRow::is_place(std::string_view in) {
  if (in == last_in_ && !in.empty()) return true;
  if (!is_file_name(in)) return false;
  last_in_ = in;
  return true;
}

}  // namespace backupkit
