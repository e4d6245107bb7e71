// Reads OpenMetrics text as strictly as its specification allows.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "native/base/utf8.h"

namespace backupkit {

// The samples of a text, by name and labels as they are written; a test fails where the text does
// not follow the format.
class MetricsReader {
 public:
  using Samples = std::map<std::string, double>;

  static Samples read(const std::string& text) {
    MetricsReader reader;
    reader.read_all(text);
    return reader.samples_;
  }

 private:
  void read_all(const std::string& text) {
    EXPECT_TRUE(is_utf8(text));
    ASSERT_TRUE(text.ends_with("\n# EOF\n")) << text;
    std::istringstream lines(text.substr(0, text.size() - std::string_view("# EOF\n").size()));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("# ")) {
        read_metadata(line);
      } else {
        read_sample(line);
      }
    }
  }

  void read_metadata(const std::string& line) {
    static const std::regex kLine("# (TYPE|UNIT|HELP) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)");
    std::smatch found;
    ASSERT_TRUE(std::regex_match(line, found, kLine)) << line;
    const std::string keyword = found[1];
    const std::string name = found[2];
    const std::string value = found[3];
    if (name != family_) begin(name);
    EXPECT_FALSE(has_samples_) << "behind a sample of its family: " << line;
    EXPECT_TRUE(keywords_.insert(keyword).second) << "twice: " << line;
    if (keyword == "TYPE") {
      type_ = value;
      EXPECT_TRUE(value == "counter" || value == "gauge") << line;
    } else if (keyword == "UNIT") {
      EXPECT_TRUE(name.ends_with("_" + value)) << line;
    } else {
      EXPECT_FALSE(value.empty()) << line;
      expect_escapes(value, "\\n\"");
    }
  }

  void begin(const std::string& name) {
    EXPECT_TRUE(families_.insert(name).second) << "in two places: " << name;
    EXPECT_FALSE(name.ends_with("_total")) << name;
    family_ = name;
    type_.clear();
    keywords_.clear();
    has_samples_ = false;
  }

  void read_sample(const std::string& line) {
    static const std::regex kLine(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([0-9.eE+-]+|\+Inf|-Inf))re");
    std::smatch found;
    ASSERT_TRUE(std::regex_match(line, found, kLine)) << line;
    const std::string name = found[1];
    has_samples_ = true;
    ASSERT_EQ(name, family_ + (type_ == "counter" ? "_total" : "")) << line;
    if (found[2].matched) read_labels(found[2]);
    size_t used = 0;
    const double value = std::stod(found[3], &used);
    EXPECT_EQ(used, found[3].length()) << line;
    EXPECT_TRUE(type_ != "counter" || value >= 0) << line;
    const auto key = line.substr(0, line.rfind(' '));
    EXPECT_TRUE(samples_.emplace(key, value).second) << "twice: " << line;
  }

  static void read_labels(const std::string& text) {
    static const std::regex kLabel(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(,|$))re");
    std::set<std::string> names;
    std::string left = text;
    std::smatch found;
    EXPECT_FALSE(text.empty());
    while (!left.empty()) {
      ASSERT_TRUE(std::regex_search(left, found, kLabel, std::regex_constants::match_continuous))
          << text;
      EXPECT_TRUE(names.insert(found[1]).second) << "twice: " << text;
      expect_escapes(found[2], "\\n\"");
      EXPECT_FALSE(found[3] == "," && found.suffix().length() == 0) << text;
      left = found.suffix();
    }
  }

  static void expect_escapes(const std::string& text, std::string_view allowed) {
    for (size_t i = 0; i < text.size(); ++i) {
      EXPECT_NE(text[i], '\n');
      if (text[i] != '\\') continue;
      ASSERT_LT(i + 1, text.size()) << text;
      EXPECT_NE(allowed.find(text[++i]), std::string_view::npos) << text;
    }
  }

  std::string family_;
  std::string type_;
  std::set<std::string> keywords_;
  std::set<std::string> families_;
  bool has_samples_ = false;
  Samples samples_;
};

}  // namespace backupkit
