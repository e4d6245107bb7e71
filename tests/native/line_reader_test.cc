#include "native/manifest/line_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/native/census.h"
#include "tests/native/manifest_files.h"

namespace backupkit {
namespace {

using LineReaderTest = Census;

std::vector<std::string> lines_of(const std::string& text, size_t most) {
  const UniqueFd file = file_of(text);
  LineReader reader(file.borrow(), most);
  std::vector<std::string> lines;
  for (;;) {
    const auto line = reader.next();
    if (!line) return {line.error().context};
    if (line->empty()) return lines;
    lines.emplace_back(*line);
  }
}

TEST_F(LineReaderTest, gives_every_line_with_its_end) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of("", 9), Lines{});
  EXPECT_EQ(lines_of("\n\na\r\nb", 9), (Lines{"\n", "\n", "a\r\n", "b"}));
  EXPECT_EQ(lines_of("a\n", 9), Lines{"a\n"});
}

TEST_F(LineReaderTest, refuses_a_line_past_the_limit) {
  for (const size_t most : {size_t{4}, size_t{1000}, size_t{300'000}}) {
    const std::string fits(most - 1, 'x');
    EXPECT_EQ(lines_of("a\n" + fits + "\n" + fits, most).size(), 3U);
    EXPECT_EQ(lines_of(fits + "y", most).size(), 1U);
    for (const std::string end : {"\n", "zz", "z\n"}) {
      EXPECT_EQ(lines_of(fits + "y" + end, most).at(0),
                "a line of more than " + std::to_string(most) + " bytes");
    }
  }
}

TEST_F(LineReaderTest, lines_across_its_buffer_are_whole) {
  std::string text;
  std::vector<std::string> expected;
  for (size_t i = 0; i < 3000; ++i) {
    expected.push_back(std::string(i % 997, static_cast<char>('a' + i % 26)) + "\n");
    text += expected.back();
  }
  EXPECT_EQ(lines_of(text, 1000), expected);
}

TEST_F(LineReaderTest, neither_uses_nor_moves_the_position) {
  const UniqueFd file = file_of("one\ntwo\n");
  ASSERT_EQ(::lseek(file.get(), 5, SEEK_SET), 5);
  LineReader reader(file.borrow(), 9);
  EXPECT_EQ(reader.next().value(), "one\n");
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 5);
}

TEST_F(LineReaderTest, a_failed_read_has_its_errno) {
  const UniqueFd file(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  LineReader reader(file.borrow(), 9);
  EXPECT_EQ(reader.next().error().sys_errno, EISDIR);
}

}  // namespace
}  // namespace backupkit
