#include "native/manifest/manifest.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "native/base/percent.h"
#include "native/manifest/index.h"
#include "native/manifest/row_cells.h"

namespace backupkit {
namespace {

constexpr uint64_t kMostSize = std::numeric_limits<int64_t>::max();
constexpr uint32_t kMostId = std::numeric_limits<uint32_t>::max();
constexpr int kColumnOfIn = 15;

template <typename T>
std::optional<T> number_in(std::string_view text) {
  T value{};
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto [stop, wrong] = std::from_chars(begin, end, value);
  if (wrong != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<Timestamp> nanoseconds_in(std::string_view text) {
  const bool is_before = text.starts_with('-');
  if (is_before) text.remove_prefix(1);
  const size_t split = text.size() - std::min(text.size(), kSecondDigits);
  const auto whole = split > 0 ? number_in<uint64_t>(text.substr(0, split)) : 0;
  auto rest = number_in<uint32_t>(text.substr(split));
  const uint64_t most = kMostSize + (is_before ? 1 : 0);
  if (!whole || !rest || *whole > most) return std::nullopt;
  uint64_t seconds = *whole;
  if (!is_before) return Timestamp{static_cast<int64_t>(seconds), *rest};
  if (*rest > 0) {
    if (++seconds > most) return std::nullopt;
    rest = kSecond - *rest;
  }
  return Timestamp{static_cast<int64_t>(uint64_t{0} - seconds), *rest};
}

// Takes the cells of a line one by one. The first wrong one is remembered.
class Cells {
 public:
  explicit Cells(std::string_view line) : rest_(line) {}

  std::string_view text() {
    ++column_;
    const size_t end = std::min(rest_.find(';'), rest_.size());
    const std::string_view cell = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return cell;
  }

  template <typename T>
  T number(T most = std::numeric_limits<T>::max()) {
    const auto value = number_in<T>(text());
    if (!value || *value > most) reject();
    return value.value_or(0);
  }

  bool flag() { return number<uint32_t>(1) == 1; }

  Timestamp nanoseconds() {
    const auto time = nanoseconds_in(text());
    if (!time) reject();
    return time.value_or(Timestamp{});
  }

  std::string encoded() {
    auto decoded = percent_decode(text());
    if (!decoded || decoded->find('\0') != std::string::npos) reject();
    return std::move(decoded).value_or("");
  }

  void reject() {
    if (wrong_ == 0) wrong_ = column_;
  }
  // The number of the first wrong column from 1 on, or 0.
  [[nodiscard]] size_t wrong() const { return wrong_; }

 private:
  std::string_view rest_;
  size_t column_ = 0;
  size_t wrong_ = 0;
};

int columns_of(ManifestVersion version) {
  switch (version) {
    case ManifestVersion::k1:
      return 8;
    case ManifestVersion::k2Of16:
      return 16;
    case ManifestVersion::k2Of17:
      return 17;
    default:
      return 18;
  }
}

Result<void> check_columns(std::string_view line, ManifestVersion version) {
  const auto columns = std::ranges::count(line, ';') + 1;
  const int wanted = columns_of(version);
  if (columns == wanted) return {};
  return failure(Code::kInvalidArgument,
                 std::to_string(columns) + " columns and not " + std::to_string(wanted));
}

std::string column_name(size_t number) {
  Cells names(kManifestHead.substr(kManifestHead.find('\n') + 1));
  while (--number > 0) (void)names.text();  // the ones before it
  std::string_view name = names.text();
  return std::string(name.substr(0, name.find('\n')));
}

std::string read_hash(Cells& cells, ManifestVersion version) {
  std::string hash(cells.text());
  if (version == ManifestVersion::k1 && is_hex(hash, 64, true)) {
    for (char& c : hash) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    return "sha256:" + hash;
  }
  if (version == ManifestVersion::k1 ? !hash.empty() : !is_hash(hash)) cells.reject();
  return hash;
}

void read_type(Cells& cells, ManifestRow& row) {
  const std::string_view letter = cells.text();
  if (letter == "h" && !S_ISDIR(row.mode)) row.type = EntryType::kHardLink;
  if (letter.size() != 1 || letter.front() != letter_of(row.type)) cells.reject();
}

void read_target(Cells& cells, ManifestRow& row) {
  row.target = cells.encoded();
  const bool is_right = row.type == EntryType::kSymlink    ? !row.target.empty()
                        : row.type == EntryType::kHardLink ? is_inner_path(row.target)
                                                           : row.target.empty();
  if (!is_right) cells.reject();
}

std::optional<std::string> read_digest(Cells& cells) {
  const std::string_view text = cells.text();
  if (text == kUnknown) return std::nullopt;
  if (!text.empty() && !is_xxh3(text)) cells.reject();
  return std::string(text);
}

// The columns that version 1 does not have.
void read_later_columns(Cells& cells, ManifestVersion version, ManifestRow& row) {
  read_type(cells, row);
  const Timestamp mtime = cells.nanoseconds();
  if (mtime.seconds != row.mtime.seconds) cells.reject();
  row.mtime = mtime;
  row.ctime = cells.nanoseconds();
  row.inode = cells.number<uint64_t>();
  row.uid = cells.number<uint32_t>(kMostId);
  row.gid = cells.number<uint32_t>(kMostId);
  row.in = cells.text();
  if (!row.in.empty() && !is_file_name(row.in)) cells.reject();
  read_target(cells, row);
  if (version >= ManifestVersion::k2Of17) row.xattrs = read_digest(cells);
  if (version >= ManifestVersion::k2) row.holes = read_digest(cells);
}

Result<std::string> read_path(std::string_view text, bool is_encoded, ManifestVersion version) {
  auto path = is_encoded ? percent_decode(text) : std::string(text);
  if (!path) return failure(path.error().in("the path"));
  if (version == ManifestVersion::k1 && path->starts_with('/')) path->erase(0, 1);
  if (*path == "." || is_inner_path(*path)) return path;
  return failure(Code::kInvalidArgument, "a path that leads out of the sandbox");
}

}  // namespace

std::optional<EntryType> entry_type(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return EntryType::kFile;
    case S_IFDIR:
      return EntryType::kDirectory;
    case S_IFLNK:
      return EntryType::kSymlink;
    case S_IFIFO:
      return EntryType::kFifo;
    case S_IFCHR:
      return EntryType::kCharDevice;
    case S_IFBLK:
      return EntryType::kBlockDevice;
    default:
      return std::nullopt;
  }
}

bool fits_a_row(std::string_view path, std::string_view target) {
  constexpr size_t kTheRest = 1024;  // the numbers, a hash, and the name of a file of the backup
  constexpr size_t kRoom = kMaxManifestLine - kTheRest;
  if (path.size() <= kRoom / 6 && target.size() <= kRoom / 6) return true;  // 3 for each byte
  return percent_encode(path).size() + percent_encode(target).size() <= kRoom;
}

Result<void> append_row(const ManifestRow& row, std::string& out) {
  const size_t before = out.size();
  const bool encode = needs_percent(row.path);
  out += encode ? percent_encode(row.path) : row.path;
  const auto put = [&](auto value) {
    out += ';';
    put_number(out, value);
  };
  put(row.mode);
  put(S_ISDIR(row.mode) ? 1 : 0);
  put(row.size);
  put(row.mtime.seconds);
  out.append(1, ';').append(row.hash);
  put(row.is_incremental ? 1 : 0);
  put(encode ? 1 : 0);
  out.append({';', letter_of(row.type), ';'});
  put_nanoseconds(out, row.mtime);
  out += ';';
  put_nanoseconds(out, row.ctime);
  put(row.inode);
  put(row.uid);
  put(row.gid);
  out.append(1, ';').append(row.in).append(1, ';').append(percent_encode(row.target));
  out.append(1, ';').append(row.xattrs ? *row.xattrs : kUnknown);
  out.append(1, ';').append(row.holes ? *row.holes : kUnknown) += '\n';
  if (out.size() - before <= kMaxManifestLine) return {};
  out.resize(before);
  return failure(Code::kInvalidArgument, "the path or target is too long for a manifest");
}

Result<ManifestRow> read_row(std::string_view line, ManifestVersion version) {
  if (auto counted = check_columns(line, version); !counted) return failure(counted.error());
  Cells cells(line);
  const std::string_view path_text = cells.text();
  ManifestRow row;
  row.mode = cells.number<uint32_t>(0177777);
  const auto type = entry_type(row.mode);
  if (!type) cells.reject();
  row.type = type.value_or(EntryType::kFile);
  if (cells.flag() != S_ISDIR(row.mode)) cells.reject();
  row.size = cells.number<uint64_t>(kMostSize);
  row.mtime.seconds = cells.number<int64_t>();
  row.hash = read_hash(cells, version);
  row.is_incremental = cells.flag();
  const bool is_encoded = cells.flag();
  row.xattrs.reset();
  row.holes.reset();
  if (version != ManifestVersion::k1) read_later_columns(cells, version, row);
  if (cells.wrong() > 0) {
    return failure(Code::kInvalidArgument, "a wrong " + column_name(cells.wrong()));
  }
  auto path = read_path(path_text, is_encoded, version);
  if (!path) return failure(path.error());
  row.path = std::move(*path);
  return row;
}

std::string_view in_of(std::string_view line, ManifestVersion version) {
  for (int behind = columns_of(version) - kColumnOfIn; behind > 0; --behind) {
    line = line.substr(0, std::min(line.rfind(';'), line.size()));
  }
  return line.substr(line.rfind(';') + 1);
}

}  // namespace backupkit
