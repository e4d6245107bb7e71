// Manifests for the tests, in memory.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/unique_fd.h"
#include "native/io/tmpfile.h"
#include "native/manifest/manifest_reader.h"
#include "native/manifest/manifest_writer.h"

namespace backupkit {

// A file that holds `text`, at offset 0.
inline UniqueFd file_of(std::string_view text) {
  const std::span bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  auto file = sealed_memfd("text", bytes);
  if (!file) std::abort();
  return std::move(*file);
}

inline ManifestRow file_row(std::string path) {
  ManifestRow row;
  row.path = std::move(path);
  row.mode = 0100644;
  return row;
}

// An empty file in memory to write to.
inline UniqueFd memory_file() {
  UniqueFd file(::memfd_create("manifest", MFD_CLOEXEC));
  if (!file.is_open()) std::abort();
  return file;
}

// The manifest of `rows`, which are in walk order, as a file.
inline UniqueFd manifest_file(const std::vector<ManifestRow>& rows) {
  UniqueFd file = memory_file();
  ManifestWriter writer(file.borrow());
  for (const ManifestRow& row : rows) {
    if (!writer.add(row)) std::abort();
  }
  if (!writer.finish()) std::abort();
  return file;
}

inline std::string text_of(BorrowedFd file) {
  const auto bytes = read_file(file, size_t{64} << 20U);
  if (!bytes) std::abort();
  return {bytes->begin(), bytes->end()};
}

}  // namespace backupkit
