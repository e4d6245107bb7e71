// What lies beside a database: it is taken with that, and waits until the walk comes by.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "native/extension/small_files.h"
#include "native/extension/sqlite_unit.h"
#include "native/manifest/walk_order.h"

namespace backupkit {

// Not thread-safe.
class Beside {
 public:
  struct File {
    SqliteMember member;
    std::optional<Handling> lost;  // with its database

    [[nodiscard]] bool is_kept() const { return member.copy.is_open() && !lost; }
  };

  // Has what is beside the unit's database wait, if it `belongs` to the backup; lost where that is.
  void add(SqliteUnit& unit, const std::optional<Handling>& lost,
           const std::function<bool(const std::string& path)>& belongs);

  // Whether there is a copy of it that will be taken.
  [[nodiscard]] bool keeps(const std::string& path) const;

  // Nothing: none of that path waits.
  [[nodiscard]] std::optional<File> take(const std::string& path);
  // The next that the walk would have come by before it came to `path`; before its end, where null.
  [[nodiscard]] std::optional<File> take_before(const std::string* path);

 private:
  struct InWalkOrder {
    bool operator()(const std::string& a, const std::string& b) const {
      return walk_order(a, b) < 0;
    }
  };

  std::map<std::string, File, InWalkOrder> files_;
};

}  // namespace backupkit
