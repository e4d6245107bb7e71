// The frames between client, service and extension.
//
// A message (one SEQPACKET datagram, at most 64 KiB and 253 descriptors) is one or more frames:
//   frame := u32 length (of all that follows it), u16 type, u16 descriptors, body
// Numbers are little-endian. text := u32 length, bytes. error := i32 code (0 = none), i32 errno,
// text. The descriptors of a message belong to its frames in order.
//
// client -> service
//    1 Hello        u32 version, u32 files that it takes at a time
//    2 Capabilities u32 request, u8 measured    [+ sealed times]
//    3 OpenSession  u32 request, u8 kind
//    4 Append       u32 request, u8 more follow + sealed list [+ sealed capability file]
//                                               [+ sealed manifests]
//    5 FileHandle   u32 request, text bundle, text uri
//    6 Publish      u32 request, text bundle, text uri     [+ the client's own file]
//    7 Release      u32 request
//    8 Settle       u64 sequence, u8 outcome
//    9 Version      u32 request
//   10 AppCall      u32 request, u8 call, text bundle   + sealed argument
//   11 UpdateTimer  u32 request, text bundle, i32 milliseconds
//   12 UpdateRate   u32 request, text bundle, i32 files per second
//   13 Cancel       u32 request, text bundle
//   14 DataSize     u32 request, u8 precise     + sealed times
//   15 Metrics      u32 request
// service -> client
//   32 Welcome      u32 version, i32 pid
//   33 Reply        u32 request, error, text    [+ capability file, or sealed metrics]
//   34 FileReady    u64 sequence, text bundle, text uri, error [+ file [+ manifest]]
//   35 BundleBegin  text bundle, error
//   36 BundleEnd    text bundle, error
//   37 AllEnd       error
//   38 ResultReport text bundle, text json
//   39 Process      text bundle, text json
//   40 SizeReport   text json
// service -> extension
//   64 Start        u8 kind, u8 attachments, u32 window, text sandbox, i64 uid, i64 gid (-1: the
//                   sandbox's) + device root + sealed settings (JSON) [+ hook channel]
//                   [+ old manifest]
//   66 Handle       text uri
//   67 PublishFile  u32 request, text uri   [+ the client's own file]
//   68 Settled      u64 sequence, u8 outcome
//   69 Frozen       (answers Freeze)
//   70 Begin        (answers Opened, in its turn)
//   71 Checked      (answers Check)
// extension -> service
//   80 File         u64 sequence, text uri, error [+ file [+ manifest]]
//   81 Published    u32 request, error
//   82 Report       text json
//   83 Progress     text phase, text path, text json (empty: for the service alone)
//   84 Done         error
//   85 HookReady    u8 takes onRelease
//   86 Freeze       the app may stand still from now on
//   87 Thaw
//   88 Recovered    text what became of an interrupted restore
//   89 Moved        u64 packed, u64 passed, u64 unpacked: bytes of content so far
//   90 Opened       the sandbox (answers Start; a Done instead of it refuses to begin)
//   91 Check        whether the service is there
//
// The sealed list of Append: u32 n, n x {text name, text source, text app's info, text options,
// i32 priority, i64 time of the last incremental backup, u8 has manifest}. Of several Append with
// one request number only the last has `more` 0, and the others are not answered.
// Sealed times: u32 n, n x {text name, i64 seconds since the epoch}.
//
// Files: a backup's extension may have as many files under way as its window says; a restore's
// sends one for each Handle. The sender of a file keeps its descriptors until the file was settled
// as taken. A receiver whose table of descriptors was full settles it as refused, and gets it
// again. A restore's Done without an error is settled as taken, too, as sequence 0: until then the
// extension keeps the way back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backupkit/bundle_list.h"  // IWYU pragma: export
#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/bytes.h"

namespace backupkit {

constexpr uint32_t kWireVersion = 3;
constexpr uint64_t kDoneSequence = 0;          // files begin with 1
constexpr uint32_t kMaxWindow = 64;            // files under way per client
constexpr size_t kMaxNameText = 512;           // bundle names and uris
constexpr size_t kMaxText = size_t{32} << 10;  // any other text in a frame
constexpr uint32_t kMaxBundles = 100'000;
constexpr size_t kMaxListBytes = 64U << 20;  // a sealed list or JSON

enum class FrameType : uint16_t {
  kHello = 1,
  kCapabilities = 2,
  kOpenSession = 3,
  kAppend = 4,
  kFileHandle = 5,
  kPublish = 6,
  kRelease = 7,
  kSettle = 8,
  kVersion = 9,
  kAppCall = 10,
  kUpdateTimer = 11,
  kUpdateRate = 12,
  kCancel = 13,
  kDataSize = 14,
  kMetrics = 15,
  kWelcome = 32,
  kReply = 33,
  kFileReady = 34,
  kBundleBegin = 35,
  kBundleEnd = 36,
  kAllEnd = 37,
  kResultReport = 38,
  kProcess = 39,
  kSizeReport = 40,
  kStart = 64,
  kHandle = 66,
  kPublishFile = 67,
  kSettled = 68,
  kFrozen = 69,
  kBegin = 70,
  kChecked = 71,
  kFile = 80,
  kPublished = 81,
  kReport = 82,
  kProgress = 83,
  kDone = 84,
  kHookReady = 85,
  kFreeze = 86,
  kThaw = 87,
  kRecovered = 88,
  kMoved = 89,
  kOpened = 90,
  kCheck = 91,
};

// What an extension is for; a session is one of the first three.
enum class SessionKind : uint8_t { kBackup = 0, kRestore = 1, kIncremental = 2, kAppCall = 3 };

// "backup", "restore", "incremental backup" or "app call".
[[nodiscard]] std::string_view describe(SessionKind kind);

// What of the app is asked for outside of a session's bundles.
enum class AppCall : uint8_t {
  kBackupInfo = 0,
  kBackupCompatibility = 1,
  kRestoreCompatibility = 2,
  kCleanTemp = 3,  // removes what an interrupted run left; "true" or "false"
  kRecover = 4,    // of the service itself: ends an interrupted restore, back where it says "undo"
};

// The bits of Start's `attachments`.
constexpr uint8_t kHasHook = 1;
constexpr uint8_t kHasManifest = 2;

// How much content of an app's files an extension has moved, in bytes: into archives, as
// descriptors of files as they are, and out of a backup.
struct Moved {
  uint64_t packed = 0;
  uint64_t passed = 0;
  uint64_t unpacked = 0;

  bool operator==(const Moved&) const = default;
};

// What became of a file that was sent: its callback returned, its descriptor was closed, or there
// was no room for its descriptor and it must be sent again.
enum class Outcome : uint8_t { kTaken = 0, kClosed = 1, kRefused = 2 };

// A frame with the descriptors that came, or go, with it.
struct Frame {
  FrameType type{};
  Bytes body;
  std::vector<UniqueFd> fds;
  bool lost_fds = false;  // it came with descriptors for which there was no room here
  bool alone = false;     // it goes in a message of its own: there may be room for no more
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

// The answer to a client's request.
[[nodiscard]] Frame reply_frame(uint32_t request, const std::optional<Error>& error,
                                std::string_view text = "");

// An error field; std::nullopt where the code is 0.
[[nodiscard]] std::optional<Error> read_error(ByteReader& reader);

// What is wrong with a frame that was read by `reader`, as the end of a sentence on it.
[[nodiscard]] std::string wrong_with(const ByteReader& reader);

// The frame as bytes, without its descriptors.
[[nodiscard]] Bytes encode(const Frame& frame);
[[nodiscard]] size_t encoded_size(const Frame& frame);
void append(const Frame& frame, ByteWriter& bytes);

// The frames of one message. Error kIpc when it does not follow the grammar: then nothing of it
// is used and its descriptors are closed. Of a message that was `truncated`, which has no
// descriptors, the frames that had some say so.
[[nodiscard]] Result<std::vector<Frame>> decode_message(std::span<const uint8_t> bytes,
                                                        std::vector<UniqueFd> fds,
                                                        bool truncated = false);

// What backupkit/bundle_list.h encodes.
[[nodiscard]] Result<std::vector<BundleRequest>> decode_list(std::span<const uint8_t> bytes);
[[nodiscard]] Result<std::vector<BundleTime>> decode_times(std::span<const uint8_t> bytes);

}  // namespace backupkit
