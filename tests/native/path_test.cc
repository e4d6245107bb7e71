#include "native/io/path.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <climits>
#include <fstream>
#include <thread>

#include "tests/native/census.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

// Each test runs with openat2(2) and with the walk that stands in for it.
class Path : public Census, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    Census::SetUp();
    scratch_ = std::make_unique<ScratchDirectory>();
    fs::create_directories(*scratch_ / "root/a/b");
    fs::create_directories(*scratch_ / "outside");
    write(*scratch_ / "outside/secret", "secret");
    write(*scratch_ / "root/a/b/file", "inside");
    root_.reset(::open((*scratch_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    force_component_walk(GetParam());
  }
  void TearDown() override {
    force_component_walk(false);
    root_.reset();
    scratch_.reset();
    Census::TearDown();
  }

  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  [[nodiscard]] BorrowedFd root() const { return root_.borrow(); }
  [[nodiscard]] std::string inside(const std::string& name) const {
    return *scratch_ / ("root/" + name);
  }
  [[nodiscard]] int error_of(const std::string& path, int flags = O_RDONLY) const {
    const auto opened = open_beneath(root(), path, flags, 0600);
    return opened ? 0 : opened.error().sys_errno;
  }
  [[nodiscard]] bool is_refused_link(const std::string& path, int flags = O_RDONLY) const {
    const int error = error_of(path, flags);
    return error == ELOOP || error == ENOTDIR;
  }

  std::unique_ptr<ScratchDirectory> scratch_;
  UniqueFd root_;
};
INSTANTIATE_TEST_SUITE_P(BothWays, Path, ::testing::Bool(), [](const auto& chosen) {
  return std::string(chosen.param ? "walk" : "openat2");
});

TEST_P(Path, file_below_is_opened_close_on_exec) {
  for (const char* path : {"a/b/file", "./a//b/./file"}) {
    const auto opened = open_beneath(root(), path, O_RDONLY);
    ASSERT_TRUE(opened) << path;
    EXPECT_TRUE(is_close_on_exec(opened->borrow()));
    std::array<char, 16> text{};
    EXPECT_EQ(::read(opened->get(), text.data(), text.size()), 6);
    EXPECT_STREQ(text.data(), "inside");
  }
}

TEST_P(Path, dot_is_the_root_and_a_slash_at_the_end_asks_for_a_directory) {
  EXPECT_EQ(error_of(".", O_RDONLY | O_DIRECTORY), 0);
  EXPECT_EQ(error_of("a/b/"), 0);
  EXPECT_EQ(error_of("a/b/file/"), ENOTDIR);
  EXPECT_EQ(error_of("a/b/file/."), ENOTDIR);
  EXPECT_EQ(error_of("a/absent"), ENOENT);
  EXPECT_EQ(error_of(std::string(300, 'x')), ENAMETOOLONG);
}

TEST_P(Path, file_is_created_with_its_mode_and_exclusively) {
  const mode_t mask = ::umask(0);
  const auto made = open_beneath(root(), "a/new", O_RDWR | O_CREAT | O_EXCL, 0640);
  ::umask(mask);
  ASSERT_TRUE(made);
  struct stat status{};
  ASSERT_EQ(::fstat(made->get(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
  EXPECT_EQ(error_of("a/new", O_RDWR | O_CREAT | O_EXCL), EEXIST);
}

TEST_P(Path, paths_that_lead_out_are_refused) {
  for (const char* path : {"", "/", "/etc/passwd", "..", "../outside/secret",
                           "a/../../outside/secret", "a/..", "./..", "a/b/../..//..", "a//../b"}) {
    EXPECT_EQ(error_of(path), EINVAL) << path;
    EXPECT_EQ(open_beneath(root(), path, O_RDONLY).error().code, Code::kInvalidArgument) << path;
  }
  EXPECT_EQ(error_of(std::string("a\0b", 3)), EINVAL);
}

TEST_P(Path, names_that_look_like_dots_are_names) {
  for (const char* name : {"...", "..a", "a..", " ", "-", "\n", "\xff"}) {
    EXPECT_TRUE(check_relative(name)) << name;
    EXPECT_EQ(error_of(name, O_RDWR | O_CREAT | O_EXCL), 0) << name;
  }
}

TEST_P(Path, symbolic_links_are_refused_everywhere) {
  fs::create_symlink("../outside", inside("up"));
  fs::create_symlink((*scratch_ / "outside").c_str(), inside("absolute"));
  fs::create_symlink("b", inside("a/within"));
  fs::create_symlink("../outside/secret", inside("file"));
  fs::create_symlink("/proc/self/root", inside("magic"));
  fs::create_symlink("../outside/new", inside("dangling"));
  for (const char* path : {"up/secret", "absolute/secret", "a/within/file", "file", "a/within",
                           "magic/etc/passwd", "magic", "up/", "up/."}) {
    EXPECT_TRUE(is_refused_link(path)) << path;
    EXPECT_TRUE(is_refused_link(path, O_PATH)) << path;
  }
  EXPECT_TRUE(is_refused_link("dangling", O_WRONLY | O_CREAT));
  EXPECT_FALSE(fs::exists(*scratch_ / "outside/new"));
  EXPECT_EQ(error_of("file", O_PATH | O_NOFOLLOW), 0);
}

TEST_P(Path, magic_links_of_proc_are_refused) {
  const UniqueFd proc(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const char* path : {"cwd/.", "root/etc", "fd/0", "exe"}) {
    const auto opened = open_beneath(proc.borrow(), path, O_RDONLY);
    ASSERT_FALSE(opened) << path;
    EXPECT_TRUE(opened.error().sys_errno == ELOOP || opened.error().sys_errno == ENOTDIR) << path;
  }
}

TEST_P(Path, swapped_directory_never_leads_out) {
  fs::create_symlink("../outside", inside("link"));
  write(inside("a/secret"), "inside");
  std::atomic<bool> done = false;
  std::thread flipper([&] {
    while (!done) {
      (void)::renameat2(root_.get(), "a", root_.get(), "link", RENAME_EXCHANGE);
    }
  });
  int opened_count = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto opened = open_beneath(root(), "a/secret", O_RDONLY);
    if (!opened) continue;
    ++opened_count;
    char first = 0;
    EXPECT_EQ(::read(opened->get(), &first, 1), 1);
    EXPECT_EQ(first, 'i');
  }
  done = true;
  flipper.join();
  EXPECT_GT(opened_count, 0);
}

TEST_P(Path, path_longer_than_the_kernel_takes_is_made_opened_and_removed) {
  std::string path = "long";
  while (path.size() < 3 * PATH_MAX) path += "/" + std::string(200, 'd');
  const auto made = make_directories(root(), path, 0700);
  ASSERT_TRUE(made);
  ASSERT_TRUE(open_beneath(root(), path + "/file", O_WRONLY | O_CREAT, 0600));
  EXPECT_TRUE(open_beneath(root(), path + "/file", O_RDONLY));
  EXPECT_EQ(error_of(path + "/absent"), ENOENT);
  EXPECT_TRUE(remove_tree(root(), "long"));
  EXPECT_FALSE(fs::exists(inside("long")));
}

TEST_P(Path, make_directories_makes_what_is_missing) {
  const auto made = make_directories(root(), "a/x//y/./z/", 0750);
  ASSERT_TRUE(made);
  EXPECT_TRUE(is_close_on_exec(made->borrow()));
  EXPECT_TRUE(fs::is_directory(inside("a/x/y/z")));
  EXPECT_TRUE(make_directories(root(), "a/x/y/z", 0750));
  EXPECT_TRUE(make_directories(root(), ".", 0750));
  EXPECT_EQ(make_directories(root(), "a/../x", 0700).error().sys_errno, EINVAL);
}

TEST_P(Path, make_directories_stops_at_links_and_files) {
  fs::create_symlink("../outside", inside("up"));
  for (const char* path : {"up/new", "up", "a/b/file/new", "a/b/file"}) {
    const auto made = make_directories(root(), path, 0700);
    ASSERT_FALSE(made) << path;
    EXPECT_TRUE(made.error().sys_errno == ELOOP || made.error().sys_errno == ENOTDIR) << path;
  }
  EXPECT_FALSE(fs::exists(*scratch_ / "outside/new"));
}

TEST_P(Path, remove_tree_takes_all_and_follows_nothing) {
  fs::create_directory_symlink("../../outside", inside("a/up"));
  fs::create_symlink("nowhere", inside("a/b/dangling"));
  fs::create_directories(inside("a/closed/deeper"));
  for (int i = 0; i < 500; ++i) write(inside("a/b/" + std::to_string(i)), "");
  for (int i = 0; i < 50; ++i) fs::create_directory(inside("a/" + std::to_string(i)));
  fs::permissions(inside("a/closed/deeper"), fs::perms::none);
  fs::permissions(inside("a/closed"), fs::perms::none);
  const auto removed = remove_tree(root(), "a");
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_TRUE(fs::is_empty(inside(".")));
  EXPECT_TRUE(fs::exists(*scratch_ / "outside/secret"));
}

TEST_P(Path, remove_tree_takes_a_file_a_link_and_nothing) {
  write(inside("file"), "");
  fs::create_directory_symlink("../outside", inside("up"));
  for (const char* name : {"file", "up", "absent"}) EXPECT_TRUE(remove_tree(root(), name)) << name;
  EXPECT_FALSE(fs::is_symlink(inside("up")));
  EXPECT_TRUE(fs::exists(*scratch_ / "outside/secret"));
  for (const char* name : {"", ".", "..", "a/b", "/"}) {
    EXPECT_EQ(remove_tree(root(), name).error().sys_errno, EINVAL) << name;
  }
  EXPECT_TRUE(fs::exists(inside("a/b/file")));
}

TEST_P(Path, remove_tree_goes_deeper_than_descriptors_are_many) {
  UniqueFd deepest(::open(inside("a").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 400; ++i) {
    ASSERT_EQ(::mkdirat(deepest.get(), "d", 0700), 0);
    ASSERT_EQ(::mkdirat(deepest.get(), "e", 0700), 0);
    deepest.reset(::openat(deepest.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  deepest.reset();
  rlimit kept{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &kept), 0);
  rlimit low = kept;
  low.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto removed = remove_tree(root(), "a");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &kept), 0);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(fs::exists(inside("a")));
}

}  // namespace
}  // namespace backupkit
