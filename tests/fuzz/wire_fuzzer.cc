// Any bytes as a message, with any number of descriptors, and as the lists that go beside one: an
// error, or what is the same when written and read again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "native/protocol/wire.h"
#include "tests/fuzz/fuzzer.h"

namespace backupkit {
namespace {

// The first byte says how many descriptors come, and whether they are lost on the way.
void read_as_message(uint8_t choice, std::span<const uint8_t> bytes) {
  const NothingLeftOpen census;
  const bool truncated = choice >= 128;
  std::vector<UniqueFd> fds(truncated ? 0 : choice % 8);
  for (auto& fd : fds) fd = memory_file();
  const size_t sent = fds.size();
  auto frames = decode_message(bytes, std::move(fds), truncated);
  if (!frames) return check(frames.error().code == Code::kIpc);
  ByteWriter again;
  size_t received = 0;
  for (const auto& frame : *frames) {
    received += frame.fds.size();
    ByteReader reader(frame.body);
    (void)read_error(reader);
    append(frame, again);
  }
  check(received == sent);
  // Of frames whose descriptors were lost the number of them is, too.
  check(truncated ? again.size() == bytes.size() : std::ranges::equal(again.bytes(), bytes));
}

void read_as_lists(std::span<const uint8_t> bytes) {
  if (const auto list = decode_list(bytes)) {
    const auto written = encode_list(*list);
    check(written.size() == bytes.size());
    const auto again = decode_list(written);
    check(again && encode_list(*again) == written);
  }
  if (const auto times = decode_times(bytes)) {
    check(std::ranges::equal(encode_times(*times), bytes));
  }
}

}  // namespace
}  // namespace backupkit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(data, size);
  backupkit::read_as_lists(bytes);
  if (size > 0) backupkit::read_as_message(bytes.front(), bytes.subspan(1));
  return 0;
}
