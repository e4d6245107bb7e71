// Connections of clients that say nothing, or half of what they should.
#pragma once

#include <array>
#include <string>

#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"

namespace backupkit {

// One of them; another kind for each number. Error: there is no room for it.
inline Result<UniqueFd> half_open(const std::string& socket, size_t number) {
  auto made = connect_seqpacket(socket);
  if (!made) return made;
  const Bytes hello =
      encode(FrameBuilder(FrameType::kHello).number(kWireVersion).number(uint32_t{1}).build());
  const Bytes session =
      encode(FrameBuilder(FrameType::kOpenSession).number(uint32_t{1}).number(uint8_t{0}).build());
  const std::span half = std::span(hello).first(hello.size() / 2);
  const std::array<std::span<const uint8_t>, 4> said = {std::span<const uint8_t>(), half, hello,
                                                        session};
  const auto words = said.at(number % said.size());
  if (!words.empty()) (void)send_message(made->borrow(), words, {});  // it may have been left
  return made;
}

}  // namespace backupkit
