// What a service says to a client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backupkit/client.h"
#include "backupkit/error.h"
#include "backupkit/unique_fd.h"

namespace backupkit {

enum class EventKind : uint8_t {
  kReply,         // request, error, text [+ a file with the answer]
  kFileReady,     // sequence, bundle, uri, error [+ file [+ manifest]]
  kBundleBegin,   // bundle, error
  kBundleEnd,     // bundle, error
  kAllEnd,        // error
  kResultReport,  // bundle, text (JSON)
  kProcess,       // bundle, text (JSON)
  kSizeReport,    // text (JSON)
};

// What of it a kind does not name is empty.
struct Event {
  EventKind kind = EventKind::kReply;
  uint32_t request = 0;   // the number that the request was given
  uint64_t sequence = 0;  // what Client::settle() is told of this file by; never 0
  std::string bundle;
  std::string uri;
  std::optional<Error> error;
  std::string text;
  std::vector<UniqueFd> fds;
};

// The events of a batch, in the order in which they were sent. What a later service says beside is
// left out. Error kIpc: it does not follow the protocol, and its descriptors are closed.
[[nodiscard]] Result<std::vector<Event>> read_events(EventBatch batch);

}  // namespace backupkit
