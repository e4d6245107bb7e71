// The listening end of a program that stands in for the service.
#pragma once

#include <cstdio>

#include "native/io/unix_socket.h"

namespace backupkit {

// Listens, prints "ready", and waits for one client; the connection does not block.
inline Result<UniqueFd> accept_one(const char* path) {
  constexpr mode_t kOwnerOnly = 0600;
  auto listener = listen_seqpacket(path, kOwnerOnly);
  if (!listener) return failure(listener.error());
  if (auto set = set_nonblocking(listener->borrow(), false); !set) return failure(set.error());
  if (std::puts("ready") < 0 || std::fflush(stdout) != 0) return errno_failure("stdout");
  return accept_seqpacket(listener->borrow());
}

}  // namespace backupkit
