// The listening socket of the service.
#pragma once

#include <functional>
#include <utility>

#include "native/io/loop.h"

namespace backupkit {

// Runs on the loop's thread.
class Door {
 public:
  using Take = std::function<Result<void>(UniqueFd)>;

  // Every connection that comes goes to `take`. The log tells of those that fail.
  Door(Loop& loop, Take take) : loop_(loop), take_(std::move(take)) {}
  ~Door() { close(); }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  // Takes whoever connects to `listener`.
  [[nodiscard]] Result<void> open(UniqueFd listener);

  // Takes nobody any more.
  void close();

 private:
  [[nodiscard]] Result<void> watch();
  void on_connection();
  void rest();

  Loop& loop_;
  Take take_;
  UniqueFd listener_;
  Loop::TimerId timer_ = 0;
  bool turns_away_ = false;  // there was no room for the last one who came
};

}  // namespace backupkit
