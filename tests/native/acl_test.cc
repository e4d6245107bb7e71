#include "native/archive/acl.h"

#include <gtest/gtest.h>

#include <string>

namespace backupkit {
namespace {

// As the kernel gives it: user::rw-, user:12345:r--, group::r--, mask::r--, other::---.
const std::string kXattr(
    "\2\0\0\0"
    "\1\0\6\0\xFF\xFF\xFF\xFF"
    "\2\0\4\0\x39\x30\0\0"
    "\4\0\4\0\xFF\xFF\xFF\xFF"
    "\x10\0\4\0\xFF\xFF\xFF\xFF"
    "\x20\0\0\0\xFF\xFF\xFF\xFF",
    44);
constexpr const char* kText = "user::rw-,user:12345:r--,group::r--,mask::r--,other::---";

TEST(Acl, goes_both_ways) {
  EXPECT_EQ(acl_text(kXattr).value(), kText);
  EXPECT_EQ(acl_xattr(kText).value(), kXattr);
}

TEST(Acl, is_taken_in_the_forms_of_gnu_tar_and_bsdtar) {
  EXPECT_EQ(acl_xattr("user::rw-\nuser:12345:r--\ngroup::r--\nmask::r--\nother::---\n").value(),
            kXattr);
  EXPECT_EQ(acl_xattr("user::rw-,group::r--,other::---,user:somebody:r--:12345,mask::r--").value(),
            kXattr);
  EXPECT_EQ(acl_xattr("u::rw-,g::r--,o::---,u:12345:r--,m::r--").value(), kXattr);
}

TEST(Acl, what_is_none_gives_nothing) {
  for (const std::string text :
       {"", "user", "user::", "user::rw", "user::rwxx", "user::abc", "user:somebody:r--",
        "user:4294967296:r--", "mask:1:r--", "other:1:r--", "nobody::r--", "user:1:r--:x"}) {
    EXPECT_FALSE(acl_xattr(text)) << text;
  }
  for (size_t size = 0; size < kXattr.size(); ++size) {
    EXPECT_EQ(acl_text(kXattr.substr(0, size)).has_value(), size > 4 && size % 8 == 4) << size;
  }
  EXPECT_FALSE(acl_text("\3" + kXattr.substr(1)));
  EXPECT_FALSE(acl_text(kXattr.substr(0, 4) + std::string("\x40\0\6\0\0\0\0\0", 8)));
  EXPECT_FALSE(acl_text(kXattr.substr(0, 4) + std::string("\1\0\x8\0\0\0\0\0", 8)));
}

}  // namespace
}  // namespace backupkit
