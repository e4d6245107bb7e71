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
  UniqueFd(UniqueFd&& other) noexcept
      : closes_aside_(other.closes_aside_), number_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    const bool aside = other.closes_aside_;
    reset(other.release());
    closes_aside_ = aside;
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  [[nodiscard]] BorrowedFd borrow() const { return BorrowedFd(number_); }

  // Gives the descriptor away; this holds none afterwards.
  [[nodiscard]] int release() {
    closes_aside_ = false;
    return std::exchange(number_, -1);
  }

  // Closes what is held and takes `number`.
  void reset(int number = -1);

  // What is held now will be closed by a thread of its own: close(2) may wait for a file system
  // that does not answer.
  void close_aside() { closes_aside_ = true; }
  [[nodiscard]] bool closes_aside() const { return closes_aside_; }

  bool operator!() const = delete;  // 0 is a descriptor: ask is_open()

 private:
  bool closes_aside_ = false;
  int number_ = -1;
};

}  // namespace backupkit
