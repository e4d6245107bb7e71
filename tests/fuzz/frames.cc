#include "tests/fuzz/frames.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/io/tmpfile.h"
#include "native/io/unix_socket.h"
#include "tests/fuzz/fuzzer.h"

namespace backupkit {
namespace {

// The fields of each type, in order:
//   n number[4]   v wire version   w window   b byte   s sequence   i signed number[4]
//   a bundle   u uri   t text   e error
// and its descriptors; what stands behind a `?` may be missing:
//   L list of bundles   T times   C capability file   A argument   S settings   F file to be read
//   D directory
const std::map<FrameType, std::string_view> kFields = {
    {FrameType::kHello, "vw"},        {FrameType::kCapabilities, "nb?T"},
    {FrameType::kOpenSession, "nb"},  {FrameType::kAppend, "nbL?C?F"},
    {FrameType::kFileHandle, "nau"},  {FrameType::kPublish, "nau?F"},
    {FrameType::kRelease, "n"},       {FrameType::kSettle, "sb"},
    {FrameType::kVersion, "n"},       {FrameType::kAppCall, "nbaA"},
    {FrameType::kUpdateTimer, "nai"}, {FrameType::kUpdateRate, "nai"},
    {FrameType::kCancel, "na"},       {FrameType::kDataSize, "nbT"},
    {FrameType::kMetrics, "n"},       {FrameType::kStart, "bbwussDS?F?F"},
    {FrameType::kHandle, "u"},        {FrameType::kPublishFile, "nu?F"},
    {FrameType::kSettled, "sb"},      {FrameType::kFrozen, ""},
    {FrameType::kFile, "sue?F?F"},    {FrameType::kPublished, "ne"},
    {FrameType::kReport, "t"},        {FrameType::kProgress, "uut"},
    {FrameType::kDone, "e"},          {FrameType::kHookReady, "b"},
    {FrameType::kFreeze, ""},         {FrameType::kThaw, ""},
    {FrameType::kRecovered, "t"},     {FrameType::kMoved, "sss"},
    {FrameType::kOpened, ""},         {FrameType::kBegin, ""},
    {FrameType::kCheck, ""},          {FrameType::kChecked, ""},
};

constexpr std::array<std::string_view, 10> kBundles = {
    "app", "other", "hooked", "frozen", "dependent", "denied", "broken", "missing", "app:1", ""};
constexpr std::array<std::string_view, 8> kUris = {
    "part.0.tar", "manage.json", "", "0123456789abcdef.txt", "other", "..", "a/b", ".backup"};
constexpr std::array<std::string_view, 6> kTexts = {"{}",
                                                    "",
                                                    R"({"restoreMode":"mirror"})",
                                                    R"({"backupScene":"scene","delayTime":1})",
                                                    R"({"resume":true,"clearBackupData":false})",
                                                    "[1,\"\xff\"]"};
constexpr std::array<int32_t, 6> kNumbers = {
    0, 1, 800, -1, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()};
constexpr std::string_view kCapabilities =
    R"({"bundleInfos":[{"name":"app","versionCode":1,"versionName":"1.0"},{"name":"other"},)"
    R"({"name":"hooked","versionName":"0.0.0.0-x"},{"name":"dependent"},{"name":"frozen"}]})";

template <typename List>
auto pick(const List& list, ByteReader& choices) {
  return list[choices.get<uint8_t>() % list.size()];
}

UniqueFd sealed(std::span<const uint8_t> bytes) { return sealed_memfd("fuzz", bytes).value(); }

UniqueFd sealed(std::string_view text) {
  return sealed(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

UniqueFd make_list(ByteReader& choices) {
  std::vector<BundleRequest> list(1 + choices.get<uint8_t>() % 4);
  for (auto& request : list) {
    request.name = pick(kBundles, choices);
    request.options = pick(kTexts, choices);
    request.priority = pick(kNumbers, choices);
    request.has_manifest = choices.get<uint8_t>() % 4 == 3;
  }
  return sealed(encode_list(list));
}

UniqueFd make_times(ByteReader& choices) {
  std::vector<BundleTime> times(choices.get<uint8_t>() % 4);
  for (auto& time : times) time = {std::string(pick(kBundles, choices)), pick(kNumbers, choices)};
  return sealed(encode_times(times));
}

// One that nobody asked for.
UniqueFd make_stray(ByteReader& choices) {
  switch (choices.get<uint8_t>() % 5) {
    case 0:
      return memory_file();
    case 1:
      return UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    case 2:
      return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    case 3:
      return UniqueFd(::open("/proc/self/status", O_PATH | O_CLOEXEC));
    default:
      return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
}

UniqueFd make_descriptor(char field, ByteReader& choices) {
  switch (field) {
    case 'L':
      return make_list(choices);
    case 'T':
      return make_times(choices);
    case 'C':
      return sealed(kCapabilities);
    case 'A':
    case 'S':
      return sealed(pick(kTexts, choices));
    case 'D':
      return UniqueFd(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    default:
      return reopen_readonly(memory_file().borrow()).value();
  }
}

void add_field(FrameBuilder& frame, char field, ByteReader& choices) {
  switch (field) {
    case 'n':
      frame.number(uint32_t{choices.get<uint8_t>()});
      break;
    case 'v':
      frame.number(kWireVersion);
      break;
    case 'w':
      frame.number(uint32_t{choices.get<uint8_t>()});
      break;
    case 'b':
      frame.number(static_cast<uint8_t>(choices.get<uint8_t>() % 4));
      break;
    case 's':
      frame.number(uint64_t{choices.get<uint8_t>()});
      break;
    case 'i':
      frame.number(pick(kNumbers, choices));
      break;
    case 'a':
      frame.text(pick(kBundles, choices));
      break;
    case 'u':
      frame.text(pick(kUris, choices));
      break;
    case 't':
      frame.text(pick(kTexts, choices));
      break;
    case 'e':
      frame.error(choices.get<uint8_t>() % 4 == 3 ? std::optional(Error{Code::kIo, 0, "fuzz"})
                                                  : std::nullopt);
      break;
    default:
      frame.fd(make_descriptor(field, choices));
      break;
  }
}

// In most cases nothing.
void spoil(Frame& frame, ByteReader& choices) {
  auto& body = frame.body;
  switch (choices.get<uint8_t>()) {
    case 250:
      body.push_back(choices.get<uint8_t>());
      break;
    case 251:
      body.resize(std::min<size_t>(body.size(), choices.get<uint8_t>()));
      break;
    case 252: {
      const size_t at = choices.get<uint8_t>();
      if (at < body.size()) body[at] = choices.get<uint8_t>();
      break;
    }
    case 253:
      frame.fds.clear();
      break;
    case 254:
      frame.fds.push_back(make_stray(choices));
      break;
    case 255:
      if (!frame.fds.empty()) frame.fds.back() = make_stray(choices);
      break;
    default:
      break;
  }
}

}  // namespace

Frame make_frame(FrameType type, ByteReader& choices) {
  FrameBuilder builder(type);
  const auto found = kFields.find(type);
  const auto fields = found == kFields.end() ? std::string_view() : found->second;
  for (size_t at = 0; at < fields.size(); ++at) {
    const bool may_be_missing = fields[at] == '?';
    if (may_be_missing) ++at;
    if (may_be_missing && choices.get<uint8_t>() % 2 == 0) continue;
    add_field(builder, fields[at], choices);
  }
  Frame frame = builder.build();
  spoil(frame, choices);
  return frame;
}

RawMessage make_message(ByteReader& choices) {
  RawMessage message;
  message.fds.resize(choices.get<uint8_t>() % 4);
  for (auto& fd : message.fds) fd = make_stray(choices);
  const size_t length = choices.get<uint8_t>();
  const auto bytes = choices.take(std::min(length, choices.left()));
  message.bytes.assign(bytes.begin(), bytes.end());
  return message;
}

void send(BorrowedFd socket, const RawMessage& message) {
  if (message.bytes.empty()) return;
  std::vector<BorrowedFd> fds;
  for (const auto& fd : message.fds) fds.push_back(fd.borrow());
  (void)send_message(socket, message.bytes, fds);  // it may be closed
}

}  // namespace backupkit
