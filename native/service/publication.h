// The files that a client writes for the restore of a bundle: asked for, and published.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "native/protocol/wire.h"

namespace backupkit {

// Runs on the loop's thread. Files are asked for in the order of the calls, as many at a time as
// the client takes; what it publishes goes on at once.
class Publication {
 public:
  struct Ends {
    std::function<bool(Frame)> ask;   // the extension; false: there is none any more
    std::function<void(Frame)> tell;  // the client
  };

  Publication(std::string bundle, Ends ends) : bundle_(std::move(bundle)), ends_(std::move(ends)) {}

  // From now on the extension is asked, for so many files at a time.
  void begin(uint32_t window);

  // From the client. Error kOutOfMemory: it has asked for too many.
  [[nodiscard]] Result<void> file_handle(const std::string& uri);

  // From the client. Nothing: the answer comes later, as the Reply to `request`. `content`, if it
  // is open, is the client's own file of that uri. Without a uri it was all. Error
  // kInvalidArgument: a file without one.
  [[nodiscard]] Result<void> publish(uint32_t request, const std::string& uri, UniqueFd content);

  // The client has a file that it asked for: the next one may come.
  void taken();

  // From the extension. False: it does not follow the grammar.
  [[nodiscard]] bool take_published(ByteReader& reader);

  // Whether the client has said that it was all, and was not told that this failed.
  [[nodiscard]] bool is_complete() const { return is_published_ || !completing_.empty(); }

  // The bundle has ended: what was not answered has failed with `reason`.
  void end(const Error& reason);

 private:
  void forward();

  std::string bundle_;
  Ends ends_;
  uint32_t window_ = 0;
  std::deque<std::string> handles_;  // asked for and not yet forwarded
  uint32_t handles_out_ = 0;         // forwarded and not yet taken
  std::set<uint32_t> publishing_;    // requests the extension has not answered
  std::set<uint32_t> completing_;    // those of them with uri ""
  bool is_published_ = false;
};

}  // namespace backupkit
