#include "native/protocol/wire.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backupkit {
namespace {

constexpr size_t kHeaderBytes = 2 * sizeof(uint16_t);

Error too_many(Code code) {
  return {code, 0, "a list has at most " + std::to_string(kMaxBundles) + " bundles"};
}

}  // namespace

std::string_view describe(SessionKind kind) {
  constexpr std::array<std::string_view, 4> kNames = {"backup", "restore", "incremental backup",
                                                      "app call"};
  return kNames.at(static_cast<size_t>(kind));
}

FrameBuilder& FrameBuilder::text(std::string_view value) {
  body_.put_text(value);
  return *this;
}

FrameBuilder& FrameBuilder::error(const std::optional<Error>& value) {
  body_.put(value ? static_cast<int32_t>(value->code) : int32_t{0});
  body_.put(value ? int32_t{value->sys_errno} : int32_t{0});
  body_.put_text(value ? value->message().substr(0, kMaxText / 2) : "");
  return *this;
}

FrameBuilder& FrameBuilder::fd(UniqueFd value) {
  frame_.fds.push_back(std::move(value));
  return *this;
}

Frame FrameBuilder::build() {
  frame_.body = body_.take();
  return std::move(frame_);
}

Frame reply_frame(uint32_t request, const std::optional<Error>& error, std::string_view text) {
  return FrameBuilder(FrameType::kReply).number(request).error(error).text(text).build();
}

std::optional<Error> read_error(ByteReader& reader) {
  const auto code = reader.get<int32_t>();
  (void)reader.get<int32_t>();  // the text names the errno already
  auto context = reader.get_text(kMaxText);
  if (code == 0) return std::nullopt;
  return Error{static_cast<Code>(code), 0, std::move(context)};
}

std::string wrong_with(const ByteReader& reader) {
  const auto limit = reader.passed();
  return limit ? "has a text of more than " + std::to_string(*limit) + " bytes"
               : "breaks the protocol";
}

Bytes encode(const Frame& frame) {
  ByteWriter writer;
  append(frame, writer);
  return writer.take();
}

size_t encoded_size(const Frame& frame) {
  return sizeof(uint32_t) + kHeaderBytes + frame.body.size();
}

void append(const Frame& frame, ByteWriter& bytes) {
  bytes.put(static_cast<uint32_t>(kHeaderBytes + frame.body.size()));
  bytes.put(static_cast<uint16_t>(frame.type));
  bytes.put(static_cast<uint16_t>(frame.fds.size()));
  bytes.put_bytes(frame.body);
}

Result<std::vector<Frame>> decode_message(std::span<const uint8_t> bytes, std::vector<UniqueFd> fds,
                                          bool truncated) {
  std::vector<Frame> frames;
  ByteReader reader(bytes);
  size_t used = 0;
  while (reader.left() > 0) {
    const auto length = reader.get<uint32_t>();
    if (length < kHeaderBytes || length > reader.left()) {
      return failure(Code::kIpc, "a frame's length does not fit its message");
    }
    Frame frame;
    frame.type = static_cast<FrameType>(reader.get<uint16_t>());
    size_t count = reader.get<uint16_t>();
    if (truncated) {
      frame.lost_fds = count > 0;
      count = 0;
    }
    if (count > fds.size() - used) {
      return failure(Code::kIpc, "a frame claims more descriptors than its message brought");
    }
    const auto body = reader.take(length - kHeaderBytes);
    frame.body.assign(body.begin(), body.end());
    for (size_t i = 0; i < count; ++i) frame.fds.push_back(std::move(fds[used + i]));
    used += count;
    frames.push_back(std::move(frame));
  }
  if (used != fds.size()) return failure(Code::kIpc, "a message brought surplus descriptors");
  return frames;
}

Bytes encode_list(std::span<const BundleRequest> list) {
  ByteWriter writer;
  writer.put(static_cast<uint32_t>(list.size()));
  for (const auto& request : list) {
    for (const auto& text : {request.name, request.source, request.app_info, request.options}) {
      writer.put_text(text);
    }
    writer.put(request.priority);
    writer.put(request.last_time);
    writer.put(static_cast<uint8_t>(request.has_manifest));
  }
  return writer.take();
}

Result<std::vector<BundleRequest>> decode_list(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes);
  const auto count = reader.get<uint32_t>();
  if (count > kMaxBundles) return failure(too_many(Code::kInvalidArgument));
  std::vector<BundleRequest> list;
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    BundleRequest request;
    request.name = reader.get_text(kMaxNameText);
    request.source = reader.get_text(kMaxNameText);
    request.app_info = reader.get_text(kMaxListBytes);
    request.options = reader.get_text(kMaxListBytes);
    request.priority = reader.get<int32_t>();
    request.last_time = reader.get<int64_t>();
    request.has_manifest = reader.get<uint8_t>() != 0;
    list.push_back(std::move(request));
  }
  if (!reader.done()) return failure(Code::kIpc, "the list of bundles is malformed");
  return list;
}

Bytes encode_times(std::span<const BundleTime> times) {
  ByteWriter writer;
  writer.put(static_cast<uint32_t>(times.size()));
  for (const auto& time : times) {
    writer.put_text(time.name);
    writer.put(time.seconds);
  }
  return writer.take();
}

Result<std::vector<BundleTime>> decode_times(std::span<const uint8_t> bytes) {
  ByteReader reader(bytes);
  const auto count = reader.get<uint32_t>();
  if (count > kMaxBundles) return failure(too_many(Code::kParameter));
  std::vector<BundleTime> times;
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    BundleTime time;
    time.name = reader.get_text(kMaxNameText);
    time.seconds = reader.get<int64_t>();
    times.push_back(std::move(time));
  }
  if (!reader.done()) return failure(Code::kIpc, "the list of times is malformed");
  return times;
}

}  // namespace backupkit
