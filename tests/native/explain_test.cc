#include "native/service/explain.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/native/census.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class Explain : public Census {
 protected:
  void add(const std::string& backup) const {
    fs::create_directories(scratch_ / "etc/backupkit/bundles");
    fs::create_directories(scratch_ / "app/files/cache");
    std::ofstream(scratch_ / "app/files/x.tmp") << "";
    std::ofstream(scratch_ / "etc/backupkit/bundles/com.example.json")
        << R"({"name": "com.example", "sandbox": "app", "backup": {)" << backup << "}}";
  }
  [[nodiscard]] std::string said(const std::string& path) const {
    auto text = explain(scratch_.fd(), "com.example", path);
    return text ? *text : text.error().context;
  }

  ScratchDirectory scratch_;
};

TEST_F(Explain, names_the_rule_and_the_directory_that_decided) {
  add(R"("allowToBackupRestore": true, "includes": ["files", "/logs/*/old"],
         "excludes": ["cache", "*.tmp"])");
  EXPECT_EQ(said("files"), "'files' is backed up: include 'files' takes it");
  EXPECT_EQ(said("/files/x.tmp"), "'files/x.tmp' is left out: exclude '*.tmp' matches it");
  EXPECT_EQ(said("files/"), said("files"));
  EXPECT_EQ(said("files/a/b"),
            "'files/a/b' is backed up: include 'files' takes 'files' and all below it\n"
            "nothing is there now");
  EXPECT_EQ(said("files/cache/a.tmp"),
            "'files/cache/a.tmp' is left out: exclude 'cache' leaves out 'files/cache' and all "
            "below it\nnothing is there now");
  EXPECT_EQ(said("logs/1/"),
            "'logs/1' is backed up as a directory when something below it is: "
            "include 'files' may\nnothing is there now");
  EXPECT_EQ(said("logs/1/new"),
            "'logs/1/new' is left out: no include reaches it\nnothing is there now");
  EXPECT_EQ(said(".backup/restore"),
            "'.backup/restore' is left out: the service's own '.backup' leaves out '.backup' and "
            "all below it\nnothing is there now");
  EXPECT_EQ(said("/"), "'.' is left out: no include reaches it");
}

TEST_F(Explain, says_what_else_keeps_an_entry_from_being_stored) {
  add(R"("includes": ["*"])");
  fs::create_symlink("files", scratch_ / "app/link");
  EXPECT_EQ(said("link/x.tmp"),
            "'link/x.tmp' is backed up: include '*' takes all\n"
            "'link' is a symbolic link: it is stored as one, not followed\n"
            "bundle 'com.example' is not backed up at all: allowToBackupRestore is false");
}

TEST_F(Explain, without_includes_speaks_of_the_default_ones) {
  add(R"("allowToBackupRestore": true)");
  EXPECT_EQ(said("files/x.tmp"), "'files/x.tmp' is left out: no default include reaches 'files'");
  EXPECT_EQ(said("data/storage/el2/base/files/a"),
            "'data/storage/el2/base/files/a' is backed up: default include "
            "'data/storage/el2/base/files/' takes 'data/storage/el2/base/files' and all below it\n"
            "nothing is there now");
}

TEST_F(Explain, refuses_what_leads_out_and_who_is_not_installed) {
  add("");
  EXPECT_EQ(explain(scratch_.fd(), "com.example", "../x").error().code, Code::kInvalidArgument);
  EXPECT_EQ(explain(scratch_.fd(), "nobody", "x").error().code, Code::kNotAdded);
}

}  // namespace
}  // namespace backupkit
