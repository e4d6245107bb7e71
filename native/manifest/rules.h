// Which paths of a sandbox belong to its backup.
//
// A pattern is a shell wildcard (`*`, `?`, `[...]`; none of them matches `/`) against the path
// inside the sandbox. A `/` at its begin or end changes nothing, except that a `/` at the begin
// binds a name to the top. Without a `/` it matches a name at any depth. What matches a directory
// means all below it. `*`, `/` and `.` as an include mean everything.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backupkit {

// Whether the path is the program's own directory in a sandbox, or in that.
[[nodiscard]] bool is_backup_dir(std::string_view path);

class Rules {
 public:
  enum class Verdict {
    kTake,     // store it, and look below
    kDescend,  // a directory that is stored only when something below it is taken
    kExclude,  // a rule says no; nothing below is looked at
    kOutside,  // no include reaches it, nor anything below
  };

  // A verdict and the rule that it rests on: with kTake and kDescend an index into the includes,
  // with kExclude one into the excludes.
  struct Judgement {
    Verdict verdict = Verdict::kOutside;
    size_t rule = kNone;
  };
  // The rule of kOutside, and of what is taken with the directory that it is in.
  static constexpr size_t kNone = static_cast<size_t>(-1);
  // The rule of what the program itself excludes: the top's `.backup`.
  static constexpr size_t kBuiltIn = kNone - 1;

  // A judgement with the path that it was made on: the one asked for or a directory above it.
  struct Explanation {
    Judgement judgement;
    std::string decided_at;
  };

  // Rules of the patterns. Without includes nothing is taken; an empty pattern matches nothing.
  [[nodiscard]] static Rules make(const std::vector<std::string>& includes,
                                  const std::vector<std::string>& excludes);

  // The same for a bundle: no list of includes means the default ones.
  [[nodiscard]] static Rules configured(const std::optional<std::vector<std::string>>& includes,
                                        const std::vector<std::string>& excludes);

  // The 13 directories of the seed system.
  [[nodiscard]] static const std::vector<std::string>& default_includes();

  // The judgement on `path`, relative to the sandbox without a `/` at its begin or end. The caller
  // walks from the top and says whether the path's parent was taken; a path below an excluded one
  // must not be asked.
  [[nodiscard]] Judgement judge(std::string_view path, bool is_directory, bool parent_taken) const;

  // The same for any path, which need not exist: judges all above it first. "." is the top itself.
  [[nodiscard]] Explanation explain(std::string_view path, bool is_directory) const;

  // The rule in words: "exclude 'cache'", "no include".
  [[nodiscard]] std::string name_of(const Judgement& judgement) const;

  // True when an include means the whole sandbox: then its own directory is taken, too.
  [[nodiscard]] bool takes_everything() const { return everything_; }

  // True when no includes were configured.
  [[nodiscard]] bool are_default() const { return default_; }

 private:
  struct Pattern {
    std::string text;  // as it was given
    bool everything = false;
    bool any_depth = false;          // matches a name anywhere
    std::vector<std::string> parts;  // of the path, one per level
  };

  [[nodiscard]] static Pattern parse(const std::string& text);
  [[nodiscard]] static bool matches(const Pattern& pattern, std::string_view path);
  [[nodiscard]] static bool reaches_below(const Pattern& pattern, std::string_view path);

  bool everything_ = false;
  bool default_ = false;
  std::vector<Pattern> includes_;
  std::vector<Pattern> excludes_;
};

}  // namespace backupkit
