#include "native/io/xattr.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/native/census.h"

namespace backupkit {
namespace {

// An ACL that gives user 12345 the right to read, in the form the kernel keeps it in.
std::string acl() {
  const auto entry = [](uint16_t tag, uint16_t permissions, uint32_t id) {
    std::string bytes(8, '\0');
    std::memcpy(&bytes[0], &tag, 2);
    std::memcpy(&bytes[2], &permissions, 2);
    std::memcpy(&bytes[4], &id, 4);
    return bytes;
  };
  const uint32_t none = 0xFFFFFFFF;
  return std::string("\x02\0\0\0", 4) + entry(0x01, 6, none) + entry(0x02, 4, 12345) +
         entry(0x04, 4, none) + entry(0x10, 4, none) + entry(0x20, 0, none);
}

class Xattr : public Census {
 protected:
  // Below `parent`: one of every kind of entry.
  explicit Xattr(const std::string& parent = ".") : scratch_(parent) {
    EXPECT_EQ(::mkdirat(dir().get(), "d", 0700), 0);
    const UniqueFd file(::openat(dir().get(), "f", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    EXPECT_TRUE(file.is_open());
    EXPECT_EQ(::symlinkat("f", dir().get(), "l"), 0);
    EXPECT_EQ(::mkfifoat(dir().get(), "p", 0600), 0);
  }

  [[nodiscard]] BorrowedFd dir() const { return scratch_.fd(); }
  [[nodiscard]] Xattrs read(const std::string& name) const {
    auto found = read_xattrs(dir(), name);
    EXPECT_TRUE(found) << found.error().message();
    return found ? *found : Xattrs{};
  }
  void write(const std::string& name, const Xattrs& xattrs) const {
    const auto written = write_xattrs(dir(), name, xattrs);
    EXPECT_TRUE(written) << written.error().message();
  }
  // Whether this file system and user can have the attribute.
  [[nodiscard]] bool can_set(const std::string& name, const char* key,
                             const std::string& value = "x") const {
    const std::string path = scratch_ / name;
    if (::lsetxattr(path.c_str(), key, value.data(), value.size(), 0) != 0) return false;
    return ::lremovexattr(path.c_str(), key) == 0;
  }
  [[nodiscard]] const ScratchDirectory& scratch() const { return scratch_; }

 private:
  ScratchDirectory scratch_;
};

class XattrOnTmpfs : public Xattr {
 protected:
  XattrOnTmpfs() : Xattr("/dev/shm") {}
};

#define NEEDS(condition, why) \
  if (!(condition)) GTEST_SKIP() << (why)

TEST_F(Xattr, an_entry_of_any_type_without_attributes_has_none) {
  for (const char* name : {"f", "d", "l", "p", "."}) EXPECT_EQ(read(name), Xattrs{}) << name;
}

TEST_F(Xattr, read_gives_what_was_written_binary_and_empty_values_too) {
  NEEDS(can_set("f", "user.a"), "no user attributes here");
  const Xattrs some{{"user.binary", std::string("\0\xFF\n=", 4)},
                    {"user.empty", ""},
                    {"user.long", std::string(3000, 'l')}};
  for (const char* name : {"f", "d", "."}) {
    write(name, some);
    EXPECT_EQ(read(name), some) << name;
  }
}

TEST_F(Xattr, write_removes_what_is_not_wanted_and_keeps_what_is) {
  NEEDS(can_set("f", "user.a"), "no user attributes here");
  write("f", {{"user.a", "1"}, {"user.b", "2"}, {"user.c", "3"}});
  write("f", {{"user.a", "1"}, {"user.b", "changed"}});
  EXPECT_EQ(read("f"), (Xattrs{{"user.a", "1"}, {"user.b", "changed"}}));
  write("f", {});
  EXPECT_EQ(read("f"), Xattrs{});
}

TEST_F(Xattr, an_open_file_is_as_its_name) {
  NEEDS(can_set("f", "user.a"), "no user attributes here");
  const UniqueFd file(::openat(dir().get(), "f", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(write_xattrs(file.borrow(), {{"user.a", "1"}, {"user.b", "2"}}));
  ASSERT_TRUE(write_xattrs(file.borrow(), {{"user.b", "3"}}));
  EXPECT_EQ(read("f"), (Xattrs{{"user.b", "3"}}));
  EXPECT_EQ(read_xattrs(file.borrow()).value(), (Xattrs{{"user.b", "3"}}));
}

TEST_F(Xattr, a_symlink_is_not_followed) {
  NEEDS(can_set("f", "user.a"), "no user attributes here");
  write("f", {{"user.a", "of the file"}});
  EXPECT_EQ(read("l"), Xattrs{});
  NEEDS(can_set("l", "trusted.a"), "trusted attributes need CAP_SYS_ADMIN");
  write("l", {{"trusted.a", "of the link"}});
  write("p", {{"trusted.a", "of the pipe"}});
  EXPECT_EQ(read("l"), (Xattrs{{"trusted.a", "of the link"}}));
  EXPECT_EQ(read("p"), (Xattrs{{"trusted.a", "of the pipe"}}));
  EXPECT_EQ(read("f"), (Xattrs{{"user.a", "of the file"}}));
}

TEST_F(Xattr, acls_and_capabilities_are_attributes) {
  NEEDS(can_set("f", "system.posix_acl_access", acl()), "no ACLs here");
  const Xattrs access{{"system.posix_acl_access", acl()}};
  write("f", access);
  EXPECT_EQ(read("f"), access);
  const Xattrs both{{"system.posix_acl_access", acl()}, {"system.posix_acl_default", acl()}};
  write("d", both);
  EXPECT_EQ(read("d"), both);
  write("d", {});
  EXPECT_EQ(read("d"), Xattrs{});
  const std::string net_raw("\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  NEEDS(can_set("f", "security.capability", net_raw), "capabilities need CAP_SETFCAP");
  write("f", {{"security.capability", net_raw}});
  EXPECT_EQ(read("f"), (Xattrs{{"security.capability", net_raw}}));
}

TEST_F(Xattr, what_a_security_module_keeps_stays_unless_it_is_asked_for) {
  NEEDS(can_set("f", "security.other"), "security attributes need CAP_SYS_ADMIN");
  write("f", {{"security.other", "label"}});
  write("f", {});
  EXPECT_EQ(read("f"), (Xattrs{{"security.other", "label"}}));
  write("f", {{"security.other", "new"}});
  EXPECT_EQ(read("f"), (Xattrs{{"security.other", "new"}}));
}

TEST_F(XattrOnTmpfs, acls_are_read_and_written) {
  NEEDS(can_set("f", "system.posix_acl_access", acl()), "no ACLs here");
  write("f", {{"system.posix_acl_access", acl()}});
  EXPECT_EQ(read("f"), (Xattrs{{"system.posix_acl_access", acl()}}));
  write("f", {});
  EXPECT_EQ(read("f"), Xattrs{});
}

TEST_F(XattrOnTmpfs, the_kernel_s_longest_value_is_read) {
  NEEDS(can_set("f", "trusted.a"), "trusted attributes need CAP_SYS_ADMIN");
  const Xattrs longest{{"trusted.a", std::string(kMaxXattrValue, 'v')},
                       {"trusted." + std::string(kMaxXattrName - 8, 'n'), "v"}};
  write("f", longest);
  EXPECT_EQ(read("f"), longest);
}

TEST_F(XattrOnTmpfs, more_than_the_limit_is_refused) {
  NEEDS(can_set("f", "trusted.a"), "trusted attributes need CAP_SYS_ADMIN");
  const std::string value(kMaxXattrValue, 'v');
  for (int i = 0; i < 16; ++i) {
    const std::string name = "trusted." + std::to_string(i);
    ASSERT_EQ(::lsetxattr((scratch() / "f").c_str(), name.c_str(), value.data(), value.size(), 0),
              0);
  }
  const auto found = read_xattrs(dir(), "f");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().sys_errno, E2BIG);
}

TEST_F(Xattr, a_file_system_without_attributes_has_none) {
  const UniqueFd proc(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(read_xattrs(proc.borrow(), "version").value(), Xattrs{});
  EXPECT_TRUE(write_xattrs(proc.borrow(), "version", {}));
}

TEST_F(Xattr, errors_name_the_attribute) {
  EXPECT_EQ(read_xattrs(dir(), "none").error().sys_errno, ENOENT);
  EXPECT_EQ(read_xattrs(BorrowedFd()).error().sys_errno, EBADF);
  const auto written = write_xattrs(dir(), "f", {{"nonsense.a", "v"}});
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message().find("'nonsense.a'"), std::string::npos);
}

TEST_F(Xattr, what_cannot_be_attributes_is_not_written) {
  EXPECT_TRUE(are_xattrs({{"user.a", std::string(kMaxXattrValue, 'v')}}));
  Xattrs too_many;
  for (int i = 0; i < 17; ++i) {
    too_many["user." + std::to_string(i)] = std::string(kMaxXattrValue, 'v');
  }
  for (const Xattrs& bad : {Xattrs{{"", "v"}}, Xattrs{{std::string("user.a\0b", 8), "v"}},
                            Xattrs{{std::string(kMaxXattrName + 1, 'n'), "v"}},
                            Xattrs{{"user.a", std::string(kMaxXattrValue + 1, 'v')}}, too_many}) {
    EXPECT_FALSE(are_xattrs(bad));
    EXPECT_EQ(write_xattrs(dir(), "f", bad).error().code, Code::kInvalidArgument);
  }
  EXPECT_EQ(read("f"), Xattrs{});
}

TEST(Xattrs, have_at_most_1_MiB_in_all) {
  Xattrs most;
  for (int i = 0; i < 15; ++i) most["user." + std::to_string(i)] = std::string(kMaxXattrValue, 'v');
  size_t bytes = 0;
  for (const auto& [name, value] : most) bytes += name.size() + value.size();
  most["user.rest"] = std::string(kMaxXattrBytes - bytes - 9, 'v');
  EXPECT_TRUE(are_xattrs(most));
  most["user.rest"] += 'v';
  EXPECT_FALSE(are_xattrs(most));
}

TEST(Label, is_what_selinux_keeps) {
  EXPECT_TRUE(is_label("security.selinux"));
  EXPECT_FALSE(is_label("security.capability"));
}

TEST(XattrDigest, tells_sets_apart_and_is_empty_for_none) {
  const std::vector<Xattrs> all{{},
                                {{"user.a", ""}},
                                {{"user.b", ""}},
                                {{"user.a", "1"}},
                                {{"user.a", std::string(1, '\0')}},
                                {{"user.a", ""}, {"user.b", ""}},
                                {{"user.a", "user.b"}},
                                {{"user.a", std::string("1\0user.b\0000\0", 11)}}};
  std::set<std::string> digests;
  for (const auto& xattrs : all) digests.insert(digest_of(xattrs));
  EXPECT_EQ(digests.size(), all.size());
  EXPECT_EQ(digest_of({}), "");
  // By xxh128sum(1) of: user.a NUL 1 NUL x user.b NUL 0 NUL
  EXPECT_EQ(digest_of({{"user.b", ""}, {"user.a", "x"}}), "xxh3:9de04f87cda516f7233c4e3bc38de3cb");
}

}  // namespace
}  // namespace backupkit
