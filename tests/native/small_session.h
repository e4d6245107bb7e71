// A backup session of one bundle, from its opening to its release.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "backupkit/client.h"
#include "native/protocol/wire.h"

namespace backupkit {

// On one connection, again and again.
class SmallSession {
 public:
  SmallSession(Client& client, std::string bundle) : client_(client), bundle_(std::move(bundle)) {}

  // False: something of it failed.
  [[nodiscard]] bool run() {
    return client_.open_session(++request_, 0) && hears(FrameType::kReply) && append() &&
           hears(FrameType::kReply) && hears(FrameType::kAllEnd) && client_.release(++request_) &&
           hears(FrameType::kReply);
  }

 private:
  [[nodiscard]] bool append() {
    std::vector<BundleRequest> list(1);
    list[0].name = bundle_;
    return client_.append(++request_, false, encode_list(list), BorrowedFd(), {}).has_value();
  }

  // Takes every file until a frame of that type has come that is no failure.
  [[nodiscard]] bool hears(FrameType wanted) {
    for (;;) {
      auto batch = client_.await();
      if (!batch || !*batch) return false;
      const auto frames = decode_message((*batch)->frames, std::move((*batch)->fds));
      if (!frames) return false;
      bool found = false;
      for (const auto& frame : *frames) {
        ByteReader reader(frame.body);
        if (frame.type == FrameType::kFileReady) {
          const auto sequence = reader.get<uint64_t>();
          if (!client_.settle(std::array{Settled{sequence, 0}, Settled{sequence, 1}})) return false;
        } else if (frame.type == FrameType::kBundleEnd) {
          if (reader.get_text(kMaxNameText) != bundle_ || read_error(reader)) return false;
        } else if (frame.type == FrameType::kReply) {
          if (reader.get<uint32_t>() != request_ || read_error(reader)) return false;
        }
        found = found || frame.type == wanted;
      }
      if (found) return true;
    }
  }

  Client& client_;
  std::string bundle_;
  uint32_t request_ = 0;
};

}  // namespace backupkit
