// Frames for conversations: as native/protocol/wire.h has them, or wrong in one place.
#pragma once

#include <cstdint>

#include "native/base/bytes.h"
#include "native/protocol/wire.h"

namespace backupkit {

// A frame of that type. What its fields are, and whether it is wrong, is taken off `choices`; where
// these are at their end it is right.
[[nodiscard]] Frame make_frame(FrameType type, ByteReader& choices);

// Any bytes with any descriptors, as a message without the grammar.
struct RawMessage {
  Bytes bytes;
  std::vector<UniqueFd> fds;
};
[[nodiscard]] RawMessage make_message(ByteReader& choices);

// Sends it, if it is a message at all.
void send(BorrowedFd socket, const RawMessage& message);

}  // namespace backupkit
