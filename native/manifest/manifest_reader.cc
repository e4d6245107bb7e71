#include "native/manifest/manifest_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "native/manifest/walk_order.h"

namespace backupkit {
namespace {

constexpr std::string_view kEnd = "end;";

// A row of a path "end" has more columns.
bool is_end(std::string_view line) {
  return line.starts_with(kEnd) && std::ranges::count(line, ';') == 2;
}

std::string_view without_line_end(std::string_view line, ManifestVersion version) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (version == ManifestVersion::k1 && line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view head_of(ManifestVersion version) {
  switch (version) {
    case ManifestVersion::k1:
      return kManifestHead1;
    case ManifestVersion::k2Of16:
      return kManifestHead16;
    case ManifestVersion::k2Of17:
      return kManifestHead17;
    default:
      return kManifestHead;
  }
}

std::string_view head_line(ManifestVersion version, bool second) {
  const std::string_view head = head_of(version);
  const size_t split = head.find('\n');
  return without_line_end(second ? head.substr(split + 1) : head.substr(0, split), version);
}

}  // namespace

Result<std::unique_ptr<ManifestReader>> ManifestReader::open(BorrowedFd in) {
  std::unique_ptr<ManifestReader> reader(new ManifestReader(in));
  if (auto read = reader->read_head(); !read) return failure(read.error());
  return reader;
}

Result<void> ManifestReader::read_head() {
  auto line = next_line();
  if (!line) return failure(line.error());
  hash(*line);
  const auto is_line = [&](ManifestVersion version, bool second) {
    return without_line_end(*line, version) == head_line(version, second);
  };
  for (const auto version :
       {ManifestVersion::k1, ManifestVersion::k2Of16, ManifestVersion::k2Of17}) {
    if (is_line(version, false)) version_ = version;
  }
  if (!is_line(version_, false)) return refuse("not the begin of a manifest of version 1 or 2");
  line = next_line();
  if (!line) return failure(line.error());
  hash(*line);
  if (!is_line(version_, true)) return refuse("not the names of the columns");
  return {};
}

Result<std::optional<ManifestRow>> ManifestReader::next() {
  auto skimmed = skim();
  if (!skimmed) return failure(skimmed.error());
  const auto& text = *skimmed;
  if (!text) return std::nullopt;
  auto row = row_of(*text);
  if (row) return std::optional(std::move(*row));
  broken_ = row.error();
  return failure(*broken_);
}

Result<std::optional<std::string_view>> ManifestReader::skim() {
  if (peeked_) return std::exchange(peeked_, std::nullopt);
  if (broken_) return failure(*broken_);
  if (ended_) return std::nullopt;
  auto text = next_text();
  if (!text) broken_ = text.error();
  return text;
}

Result<std::optional<std::string_view>> ManifestReader::peek() {
  auto text = skim();
  if (text) peeked_ = *text;
  return text;
}

Result<void> ManifestReader::pass(std::string_view path) {
  peeked_.reset();
  auto in_order = check_order(path);
  if (!in_order) broken_ = in_order.error();
  return in_order;
}

Result<std::optional<std::string_view>> ManifestReader::next_text() {
  auto line = next_line();
  if (!line) return failure(line.error());
  if (version_ == ManifestVersion::k1 && line->empty()) {
    ended_ = true;
    return std::nullopt;
  }
  const bool has_end = version_ != ManifestVersion::k1;
  if (has_end && !line->ends_with('\n')) return refuse("torn: no end");
  const std::string_view text = without_line_end(*line, version_);
  if (has_end && is_end(text)) {
    if (auto end = read_end(text); !end) return failure(end.error());
    ended_ = true;
    return std::nullopt;
  }
  hash(*line);
  ++rows_;
  return text;
}

Result<ManifestRow> ManifestReader::row_of(std::string_view text) {
  auto row = read_row(text, version_);
  if (!row) return refuse(row.error().context);
  if (auto in_order = check_order(row->path); !in_order) return failure(in_order.error());
  return row;
}

Result<void> ManifestReader::check_order(std::string_view path) {
  if (version_ == ManifestVersion::k1) return {};
  if (rows_ > 1) {
    const auto order = walk_order(last_path_, path);
    if (order == 0) return refuse("the same path twice");
    if (order > 0) return refuse("a row out of order");
  }
  last_path_ = path;
  return {};
}

Result<void> ManifestReader::read_end(std::string_view line) {
  const std::string rows = std::to_string(rows_);
  const std::string digits = hasher_.finish().substr(sizeof("xxh3:") - 1);
  line.remove_prefix(kEnd.size());
  const size_t split = line.find(';');
  if (line.substr(0, split) != rows) return refuse("the end counts other than " + rows + " rows");
  if (line.substr(split + 1) != digits) return refuse("the hash is not that of the rows");
  auto more = next_line();
  if (!more) return failure(more.error());
  return more->empty() ? Result<void>() : refuse("something behind the end");
}

Result<std::string_view> ManifestReader::next_line() {
  ++line_number_;
  auto line = lines_.next();
  if (!line) {
    return failure(line.error().in("line " + std::to_string(line_number_) + " of a manifest"));
  }
  line_at_ = std::exchange(next_line_at_, next_line_at_ + line->size());
  return line;
}

void ManifestReader::hash(std::string_view line) {
  if (version_ == ManifestVersion::k1) return;
  hasher_.update(std::span(reinterpret_cast<const uint8_t*>(line.data()), line.size()));
}

std::unexpected<Error> ManifestReader::refuse(std::string_view why) const {
  return failure(Code::kInvalidArgument,
                 "line " + std::to_string(line_number_) + " of a manifest: " + std::string(why));
}

Result<ManifestRow> row_at(BorrowedFd in, uint64_t at, ManifestVersion version) {
  LineReader lines(in, kMaxManifestLine, at);
  auto line = lines.next();
  if (!line) return failure(line.error());
  return read_row(without_line_end(*line, version), version);
}

Result<ManifestSummary> check_manifest(BorrowedFd in) {
  auto reader = ManifestReader::open(in);
  if (!reader) return failure(reader.error());
  for (;;) {
    auto row = (*reader)->next();
    if (!row) return failure(row.error());
    if (!*row) return ManifestSummary{(*reader)->version(), (*reader)->rows()};
  }
}

}  // namespace backupkit
