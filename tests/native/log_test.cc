#include "native/base/log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <string>

#include "native/base/utf8.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

using Log = Census;

std::string plain(std::string_view line) { return log_text(LogLevel::kError, false, line); }

TEST_F(Log, a_line_says_who_writes_it_or_its_level) {
  EXPECT_EQ(plain("it failed"), "backupd: it failed\n");
  EXPECT_EQ(log_text(LogLevel::kError, true, "it failed"), "<3>it failed\n");
  EXPECT_EQ(log_text(LogLevel::kWarning, true, "x"), "<4>x\n");
  EXPECT_EQ(log_text(LogLevel::kInfo, true, "x"), "<6>x\n");
  EXPECT_EQ(log_text(LogLevel::kDebug, true, "x"), "<7>x\n");
}

TEST_F(Log, levels_have_the_names_of_the_option) {
  EXPECT_EQ(level_of("error"), LogLevel::kError);
  EXPECT_EQ(level_of("warning"), LogLevel::kWarning);
  EXPECT_EQ(level_of("info"), LogLevel::kInfo);
  EXPECT_EQ(level_of("debug"), LogLevel::kDebug);
  for (const auto* wrong : {"", "Error", "errors", "3", "notice"}) EXPECT_FALSE(level_of(wrong));
}

TEST_F(Log, foreign_text_cannot_end_the_line) {
  EXPECT_EQ(plain("a\nbackupd: b"), "backupd: a\\x0abackupd: b\n");
  EXPECT_EQ(plain("a\r\t\x1B[2J\x7F"), "backupd: a\\x0d\\x09\\x1b[2J\\x7f\n");
  EXPECT_EQ(plain(std::string_view("a\0b", 3)), "backupd: a\\x00b\n");
  EXPECT_EQ(plain("\\x0a"), "backupd: \\x5cx0a\n") << "what is escaped cannot be imitated";
  EXPECT_EQ(plain("\xC2\x9B"
                  "2J"),
            "backupd: \\xc2\\x9b2J\n");
  EXPECT_EQ(plain("a\xFFz\xE6\x97"), "backupd: a\\xffz\\xe6\\x97\n");
  EXPECT_EQ(plain("Gr\xC3\xBC\xC3\x9F"
                  "e"),
            "backupd: Gr\xC3\xBC\xC3\x9F"
            "e\n");
}

TEST_F(Log, no_pair_of_bytes_breaks_a_line) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const auto text = plain(std::string{static_cast<char>(first), static_cast<char>(second)});
      ASSERT_EQ(text.find_first_of(std::string("\n\r\x1B\0", 4)), text.size() - 1);
      ASSERT_TRUE(is_utf8(text));
    }
  }
}

TEST_F(Log, a_line_is_cut_between_characters) {
  for (const std::string_view piece : {"x", "\xC3\xBC", "\xF0\x9F\x98\x80", "\n"}) {
    std::string line;
    for (int i = 0; i < 3000; ++i) line += piece;
    const auto text = plain(line);
    EXPECT_LE(text.size(), 2048U + 10U);
    EXPECT_GE(text.size(), 2040U);
    EXPECT_TRUE(text.ends_with("...\n"));
    EXPECT_TRUE(is_utf8(text));
    if (piece == "\n") {
      EXPECT_TRUE(text.ends_with("\\x0a...\n"));
    }
  }
  const auto whole = std::string(2048, 'x');
  EXPECT_EQ(plain(whole), "backupd: " + whole + "\n");
  EXPECT_LT(plain(whole).size(), size_t{PIPE_BUF});
}

TEST_F(Log, the_journal_is_what_its_variable_names) {
  const ScratchDirectory scratch;
  struct stat found{};
  ASSERT_EQ(::fstat(scratch.fd().get(), &found), 0);
  const auto device = std::to_string(found.st_dev);
  const auto inode = std::to_string(found.st_ino);
  EXPECT_TRUE(is_journal(scratch.fd(), (device + ":" + inode).c_str()));
  EXPECT_FALSE(is_journal(scratch.fd(), nullptr));
  for (const auto& other : {std::string(), device, device + ":", ":" + inode, device + ":1" + inode,
                            "1" + device + ":" + inode, device + ":" + inode + "\n"}) {
    EXPECT_FALSE(is_journal(scratch.fd(), other.c_str())) << other;
  }
  EXPECT_FALSE(is_journal(BorrowedFd(), (device + ":" + inode).c_str()));
}

// Has `work` write to the log, whose end is a pipe, and gives what was written.
std::string written(const std::function<void()>& work) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const UniqueFd kept(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
  EXPECT_EQ(::dup2(out.get(), STDERR_FILENO), STDERR_FILENO);
  work();
  EXPECT_EQ(::dup2(kept.get(), STDERR_FILENO), STDERR_FILENO);
  out.reset();
  std::string all;
  std::array<char, 4096> some{};
  for (;;) {
    const auto got = ::read(in.get(), some.data(), some.size());
    if (got <= 0) return all;
    all.append(some.data(), static_cast<size_t>(got));
  }
}

void log_each() {
  for (const auto level :
       {LogLevel::kError, LogLevel::kWarning, LogLevel::kInfo, LogLevel::kDebug}) {
    log_line(level, std::to_string(static_cast<int>(level)));
  }
}

TEST_F(Log, what_weighs_less_than_the_level_is_left_out) {
  const auto at = [](LogLevel level) {
    open_log(level, false);
    return written(log_each);
  };
  EXPECT_EQ(at(LogLevel::kError), "backupd: 3\n");
  EXPECT_EQ(at(LogLevel::kWarning), "backupd: 3\nbackupd: 4\n");
  EXPECT_EQ(at(LogLevel::kInfo), "backupd: 3\nbackupd: 4\nbackupd: 6\n");
  EXPECT_EQ(at(LogLevel::kDebug), "backupd: 3\nbackupd: 4\nbackupd: 6\nbackupd: 7\n");
  open_log(LogLevel::kWarning, false);
}

TEST_F(Log, a_failure_has_its_code_and_reason) {
  EXPECT_EQ(written([] {
              log_failure(LogLevel::kError, "backup of 'app'",
                          Error::from_errno(ENOSPC, "part.0.tar"));
            }),
            "backupd: backup of 'app' failed with 13900025: part.0.tar: ENOSPC (No space left on "
            "device)\n");
}

TEST_F(Log, what_a_private_services_client_is_told_is_for_information) {
  EXPECT_EQ(when_told(LogLevel::kError), LogLevel::kError);
  open_log(LogLevel::kWarning, true);
  EXPECT_EQ(when_told(LogLevel::kError), LogLevel::kInfo);
  open_log(LogLevel::kWarning, false);
}

TEST_F(Log, a_reader_that_does_not_read_loses_lines_and_stops_nobody) {
  const auto all = written([] {
    for (int i = 0; i < 1000; ++i) log_line(LogLevel::kError, std::string(1000, 'x'));
  });
  EXPECT_LT(all.size(), 1'000'000U);
  EXPECT_EQ(all.size() % plain(std::string(1000, 'x')).size(), 0U) << "whole lines";
}

}  // namespace
}  // namespace backupkit
