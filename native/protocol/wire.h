// The frames between client, service and extension.
//
// A message (one SEQPACKET datagram, at most 64 KiB and 253 descriptors) is one or more frames:
//   frame := u32 length (of all that follows it), u16 type, u16 descriptors, body
// Numbers are little-endian. text := u32 length, bytes. error := i32 code (0 = none), i32 errno,
// text. The descriptors of a message belong to its frames in order.
//
// client -> service
//    1 Hello        u32 version
//    2 Capabilities u32 request
//    3 OpenSession  u32 request, u8 kind
//    4 Append       u32 request                 + sealed list [+ sealed capability file]
//    5 FileHandle   u32 request, text bundle, text uri
//    6 Publish      u32 request, text bundle, text uri
//    7 Release      u32 request
//    8 Settle       u64 sequence, u8 outcome
// service -> client
//   32 Welcome      u32 version, i32 pid
//   33 Reply        u32 request, error, text    [+ capability file]
//   34 FileReady    u64 sequence, text bundle, text uri, error [+ file [+ manifest]]
//   35 BundleBegin  text bundle, error
//   36 BundleEnd    text bundle, error
//   37 AllEnd       error
//   38 ResultReport text bundle, text json
//   39 Process      text bundle, text json
// service -> extension
//   64 Start        u8 kind                     + sandbox directory + sealed settings (JSON)
//   65 Credit       u32 files that may be sent
//   66 Handle       text uri
//   67 PublishFile  u32 request, text uri
//   68 Settled      u64 sequence, u8 outcome
// extension -> service
//   80 File         u64 sequence, text uri, error [+ file [+ manifest]]
//   81 Published    u32 request, error
//   82 Report       text json
//   83 Progress     text json
//   84 Done         error
//
// The sealed list of Append: u32 n, n x {text name, text info, text parameters, i32 priority}.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/bytes.h"

namespace backupkit {

constexpr uint32_t kWireVersion = 1;
constexpr size_t kMaxNameText = 512;         // bundle names and uris
constexpr size_t kMaxText = 32 * 1024;       // any other text in a frame
constexpr size_t kMaxListBytes = 16U << 20;  // a sealed list or capability file

enum class FrameType : uint16_t {
  kHello = 1,
  kCapabilities = 2,
  kOpenSession = 3,
  kAppend = 4,
  kFileHandle = 5,
  kPublish = 6,
  kRelease = 7,
  kSettle = 8,
  kWelcome = 32,
  kReply = 33,
  kFileReady = 34,
  kBundleBegin = 35,
  kBundleEnd = 36,
  kAllEnd = 37,
  kResultReport = 38,
  kProcess = 39,
  kStart = 64,
  kCredit = 65,
  kHandle = 66,
  kPublishFile = 67,
  kSettled = 68,
  kFile = 80,
  kPublished = 81,
  kReport = 82,
  kProgress = 83,
  kDone = 84,
};

enum class SessionKind : uint8_t { kBackup = 0, kRestore = 1, kIncremental = 2 };

// What became of a file that was sent: its callback returned, or its descriptor was closed.
enum class Outcome : uint8_t { kTaken = 0, kClosed = 1 };

// A frame with the descriptors that came, or go, with it.
struct Frame {
  FrameType type{};
  Bytes body;
  std::vector<UniqueFd> fds;
};

// Builds one frame's body, field by field.
class FrameBuilder {
 public:
  explicit FrameBuilder(FrameType type) { frame_.type = type; }

  template <typename T>
  FrameBuilder& number(T value) {
    body_.put(value);
    return *this;
  }
  FrameBuilder& text(std::string_view value);
  FrameBuilder& error(const std::optional<Error>& value);
  FrameBuilder& fd(UniqueFd value);
  [[nodiscard]] Frame build();

 private:
  Frame frame_;
  ByteWriter body_;
};

// An error field; std::nullopt where the code is 0.
[[nodiscard]] std::optional<Error> read_error(ByteReader& reader);

// The frame as bytes, without its descriptors.
[[nodiscard]] Bytes encode(const Frame& frame);

// The frames of one message. Error kIpc when it does not follow the grammar: then nothing of it
// is used and its descriptors are closed.
[[nodiscard]] Result<std::vector<Frame>> decode_message(std::span<const uint8_t> bytes,
                                                        std::vector<UniqueFd> fds);

// One bundle as a client asked for it.
struct BundleRequest {
  std::string name;
  std::string info;        // JSON, or empty
  std::string parameters;  // JSON, or empty
  int32_t priority = 0;
};

[[nodiscard]] Result<std::vector<BundleRequest>> decode_list(std::span<const uint8_t> bytes);

}  // namespace backupkit
