// Who owns a file descriptor, said by its type.
#pragma once

#include <utility>

namespace backupkit {

// A descriptor that somebody else owns and keeps open while this is in use. -1 is none.
class BorrowedFd {
 public:
  constexpr BorrowedFd() = default;
  constexpr explicit BorrowedFd(int number) : number_(number) {}

  [[nodiscard]] constexpr int get() const { return number_; }
  [[nodiscard]] constexpr bool is_open() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// Owns a descriptor and closes it once. Moves, never copies. Keeps errno over its destructor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int number) : number_(number) {}
  UniqueFd(UniqueFd&& other) noexcept : number_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  [[nodiscard]] BorrowedFd borrow() const { return BorrowedFd(number_); }

  // Gives the descriptor away; this holds none afterwards.
  [[nodiscard]] int release() { return std::exchange(number_, -1); }

  // Closes what is held and takes `number`.
  void reset(int number = -1);

  bool operator!() const = delete;  // 0 is a descriptor: ask is_open()

 private:
  int number_ = -1;
};

}  // namespace backupkit
