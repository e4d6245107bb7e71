#include "backupkit/event.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "native/base/bytes.h"
#include "native/protocol/wire.h"

namespace backupkit {
namespace {

// In the order of EventKind.
constexpr std::array kTypes{FrameType::kReply,     FrameType::kFileReady, FrameType::kBundleBegin,
                            FrameType::kBundleEnd, FrameType::kAllEnd,    FrameType::kResultReport,
                            FrameType::kProcess,   FrameType::kSizeReport};

// The fields of its kind, in the order that wire.h has.
void read_fields(ByteReader& reader, Event& event) {
  switch (event.kind) {
    case EventKind::kReply:
      event.request = reader.get<uint32_t>();
      event.error = read_error(reader);
      event.text = reader.get_text(kMaxText);
      return;
    case EventKind::kFileReady:
      event.sequence = reader.get<uint64_t>();
      event.bundle = reader.get_text(kMaxNameText);
      event.uri = reader.get_text(kMaxNameText);
      event.error = read_error(reader);
      return;
    case EventKind::kBundleBegin:
    case EventKind::kBundleEnd:
      event.bundle = reader.get_text(kMaxNameText);
      event.error = read_error(reader);
      return;
    case EventKind::kAllEnd:
      event.error = read_error(reader);
      return;
    case EventKind::kResultReport:
    case EventKind::kProcess:
      event.bundle = reader.get_text(kMaxNameText);
      event.text = reader.get_text(kMaxText);
      return;
    case EventKind::kSizeReport:
      event.text = reader.get_text(kMaxText);
      return;
  }
}

}  // namespace

Result<std::vector<Event>> read_events(EventBatch batch) {
  auto frames = decode_message(batch.frames, std::move(batch.fds));
  if (!frames) return failure(frames.error());
  std::vector<Event> events;
  for (auto& frame : *frames) {
    const auto* const type = std::ranges::find(kTypes, frame.type);
    if (type == kTypes.end()) continue;
    Event event;
    event.kind = static_cast<EventKind>(type - kTypes.begin());
    event.fds = std::move(frame.fds);
    ByteReader reader(frame.body);
    read_fields(reader, event);
    if (!reader.done()) {
      return failure(Code::kIpc, "an event of type " +
                                     std::to_string(static_cast<int>(frame.type)) + " " +
                                     wrong_with(reader));
    }
    events.push_back(std::move(event));
  }
  return events;
}

}  // namespace backupkit
