// XXH3-128 as BackupKit writes it: "xxh3:" and 32 lower-case hex digits of the canonical form.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace backupkit {

// A running hash. Cheap to reset and reuse.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void update(std::span<const uint8_t> bytes);
  // The same for as many zeros.
  void update_zeros(uint64_t count);
  // Goes on from where `other` is.
  void copy_from(const Hasher& other);
  // The hash of everything since the start or the last finish(); starts anew.
  [[nodiscard]] std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The hash of these bytes alone, as Hasher gives it.
[[nodiscard]] std::string hash_of(std::span<const uint8_t> bytes);

// XXH3-64 of `bytes` under `seed`.
[[nodiscard]] uint64_t hash64(std::span<const uint8_t> bytes, uint64_t seed);

}  // namespace backupkit
