#include "native/extension/selection.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "native/manifest/manifest_writer.h"
#include "tests/native/census.h"
#include "tests/native/tar_files.h"

namespace backupkit {
namespace {

constexpr const char* kPart = "part";

ManifestRow row_of(const std::string& path) {
  ManifestRow row;
  row.path = path;
  row.mode = S_IFREG | 0640;
  row.uid = 1;
  row.gid = 2;
  row.mtime = {3, 4};
  row.in = kPart;
  return row;
}

Entry stored(const ManifestRow& row) {
  Entry entry;
  entry.path = row.path;
  entry.type = row.type;
  entry.mode = row.mode & 07777U;
  entry.uid = row.uid;
  entry.gid = row.gid;
  entry.mtime = row.mtime;
  return entry;
}

class SelectionTest : public Census {
 protected:
  SelectionTest() {
    const UniqueFd manifest = memory();
    ManifestWriter writer(manifest.borrow());
    for (const auto& row : rows_) EXPECT_TRUE(writer.add(row));
    EXPECT_TRUE(writer.finish());
    EXPECT_TRUE(selection_.read_complete(manifest.borrow()));
  }

  const std::vector<ManifestRow> rows_{row_of("a"), row_of("b"), row_of("c")};
  Selection selection_;
};

TEST_F(SelectionTest, all_are_noted_when_the_last_is) {
  for (const auto& row : rows_) {
    EXPECT_FALSE(selection_.is_noted(row));
    EXPECT_FALSE(selection_.are_all_noted());
    selection_.note(kPart, stored(row));
    EXPECT_TRUE(selection_.is_noted(row));
  }
  EXPECT_TRUE(selection_.are_all_noted());
}

TEST_F(SelectionTest, an_entry_that_is_not_as_its_row_says_is_not_noted) {
  for (auto change :
       {+[](Entry& entry) { entry.mode ^= 01U; }, +[](Entry& entry) { ++entry.uid; },
        +[](Entry& entry) { ++entry.gid; }, +[](Entry& entry) { ++entry.mtime.seconds; },
        +[](Entry& entry) { ++entry.mtime.nanoseconds; },
        +[](Entry& entry) { entry.type = EntryType::kHardLink; }}) {
    selection_.note(kPart, stored(rows_[0]));
    EXPECT_TRUE(selection_.is_noted(rows_[0]));
    auto entry = stored(rows_[0]);
    change(entry);
    selection_.note(kPart, entry);
    EXPECT_FALSE(selection_.is_noted(rows_[0])) << "the last of one path counts";
    selection_.note("another part", stored(rows_[0]));
    EXPECT_FALSE(selection_.is_noted(rows_[0]));
  }
}

}  // namespace
}  // namespace backupkit
