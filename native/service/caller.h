// A client that is connected: who it is, what it has begun to say, and how it is answered.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "native/base/log.h"
#include "native/io/unix_socket.h"
#include "native/service/metrics.h"
#include "native/service/peer.h"
#include "native/service/pending_append.h"

namespace backupkit {

struct Caller {
  using Id = uint64_t;

  Id id = 0;
  PeerCredentials credentials;
  Metrics& metrics;  // of the service, which outlives it
  std::unique_ptr<Peer> peer{};
  uint32_t window = kMaxWindow;  // files that it takes at a time
  PendingAppend append{};

  // For the log.
  [[nodiscard]] std::string name() const;

  // Answers a request. A failure is counted, and goes to the log at `level` or below.
  void reply(uint32_t request, const Result<void>& result, LogLevel level = LogLevel::kWarning);
  void reply_text(uint32_t request, std::string_view text);
  void reply_file(uint32_t request, UniqueFd file);
};

}  // namespace backupkit
