// The lines of a manifest for who does not need the rows.
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string>

#include "native/manifest/manifest.h"
#include "native/manifest/manifest_reader.h"
#include "tests/native/census.h"
#include "tests/native/manifest_files.h"

namespace backupkit {
namespace {

using ManifestLines = Census;

TEST_F(ManifestLines, skimming_gives_the_lines_and_finds_what_is_not_as_it_was_written) {
  ManifestRow first = file_row("a b;c");
  first.in = "part.0.tar";
  const ManifestRow second = file_row("b");
  const std::string text = text_of(manifest_file({first, second}).borrow());
  const UniqueFd file = file_of(text);
  auto reader = ManifestReader::open(file.borrow()).value();
  for (const auto& row : {first, second}) {
    const auto line = reader->skim().value();
    ASSERT_TRUE(line);
    EXPECT_EQ(read_row(*line, reader->version()), row);
    EXPECT_EQ(in_of(*line, reader->version()), row.in);
  }
  EXPECT_EQ(reader->skim().value(), std::nullopt);
  EXPECT_EQ(reader->rows(), 2U);
  for (size_t at = kManifestHead.size(); at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] ^= 1;
    const UniqueFd broken = file_of(damaged);
    auto opened = ManifestReader::open(broken.borrow()).value();
    auto line = opened->skim();
    while (line && *line) line = opened->skim();
    EXPECT_FALSE(line) << at;
  }
}

TEST_F(ManifestLines, the_column_in_is_found_in_a_line_of_each_kind) {
  ManifestRow row = file_row("l");
  row.mode = 0120777;
  row.type = EntryType::kSymlink;
  row.target = "some where";
  row.in = "part.1.tar";
  std::string line;
  ASSERT_TRUE(append_row(row, line));
  line.pop_back();
  EXPECT_EQ(in_of(line, ManifestVersion::k2), "part.1.tar");
  for (const auto older : {ManifestVersion::k2Of17, ManifestVersion::k2Of16}) {
    line.resize(line.rfind(';'));
    EXPECT_EQ(in_of(line, older), "part.1.tar");
  }
  EXPECT_EQ(in_of("no row", ManifestVersion::k2), "no row");
  EXPECT_EQ(in_of("", ManifestVersion::k2), "");
}

}  // namespace
}  // namespace backupkit
