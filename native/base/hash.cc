#include "native/base/hash.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#define XXH_INLINE_ALL  // header-only: no library to install on a target
#include <xxhash.h>

#include <array>

namespace backupkit {
namespace {

std::string text_of(const XXH128_hash_t& hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "xxh3:";
  for (const unsigned char byte : canonical.digest) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace

struct Hasher::State {
  alignas(64) XXH3_state_t xxh3;
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh3); }
Hasher::~Hasher() = default;

void Hasher::update(std::span<const uint8_t> bytes) {
  XXH3_128bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

void Hasher::update_zeros(uint64_t count) {
  static constexpr std::array<uint8_t, size_t{4} << 10U> kZeros{};
  for (; count > kZeros.size(); count -= kZeros.size()) update(kZeros);
  update(std::span(kZeros).first(static_cast<size_t>(count)));
}

void Hasher::copy_from(const Hasher& other) { XXH3_copyState(&state_->xxh3, &other.state_->xxh3); }

std::string Hasher::finish() {
  const auto hash = XXH3_128bits_digest(&state_->xxh3);
  XXH3_128bits_reset(&state_->xxh3);
  return text_of(hash);
}

std::string hash_of(std::span<const uint8_t> bytes) {
  return text_of(XXH3_128bits(bytes.data(), bytes.size()));
}

uint64_t hash64(std::span<const uint8_t> bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace backupkit
