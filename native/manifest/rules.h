// Which paths of a sandbox belong to its backup.
//
// A pattern is a shell wildcard (`*`, `?`, `[...]`; none of them matches `/`) against the path
// inside the sandbox. A `/` at its begin or end changes nothing, except that a `/` at the begin
// binds a name to the top. Without a `/` it matches a name at any depth. What matches a directory
// means all below it. `*`, `/` and `.` as an include mean everything.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace backupkit {

class Rules {
 public:
  enum class Verdict {
    kTake,     // store it, and look below
    kDescend,  // a directory that is stored only when something below it is taken
    kExclude,  // a rule says no; nothing below is looked at
    kOutside,  // no include reaches it, nor anything below
  };

  // `excluded_by` of what no pattern but the program itself excludes: the top's `.backup`.
  static constexpr size_t kBuiltIn = static_cast<size_t>(-1);

  // Rules of the patterns as configured. Without includes nothing is taken; the caller puts
  // default_includes() in. An empty pattern matches nothing.
  [[nodiscard]] static Rules make(const std::vector<std::string>& includes,
                                  std::vector<std::string> excludes);

  // The 13 directories of the seed system.
  [[nodiscard]] static const std::vector<std::string>& default_includes();

  // The verdict on `path`, relative to the sandbox without a `/` at its begin or end. The caller
  // walks from the top and says whether the path's parent was taken; a path below an excluded one
  // must not be asked. `excluded_by`, where not null, is set with kExclude: an index into the
  // excludes, or kBuiltIn.
  [[nodiscard]] Verdict judge(std::string_view path, bool is_directory, bool parent_taken,
                              size_t* excluded_by) const;

  // True when an include means the whole sandbox: then its own directory is taken, too.
  [[nodiscard]] bool takes_everything() const { return everything_; }

  // The excludes as they were given, for messages.
  [[nodiscard]] const std::vector<std::string>& excludes() const { return exclude_texts_; }

 private:
  struct Pattern {
    bool everything = false;
    bool any_depth = false;          // matches a name anywhere
    std::vector<std::string> parts;  // of the path, one per level
  };

  [[nodiscard]] static Pattern parse(std::string_view text);
  [[nodiscard]] static bool matches(const Pattern& pattern, std::string_view path);
  [[nodiscard]] static bool reaches_below(const Pattern& pattern, std::string_view path);

  bool everything_ = false;
  std::vector<Pattern> includes_;
  std::vector<Pattern> excludes_;
  std::vector<std::string> exclude_texts_;
};

}  // namespace backupkit
