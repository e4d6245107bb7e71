#include "tests/native/test_extension.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/io/tmpfile.h"
#include "native/protocol/channel.h"
#include "native/protocol/wire.h"

namespace backupkit {
namespace {

// The number that follows `word` in a text.
std::optional<size_t> number_behind(std::string_view text, std::string_view word) {
  const auto at = text.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  return std::stoul(std::string(text.substr(at + word.size(), 10)));
}

bool is_settled(const Frame& frame, uint64_t sequence) {
  ByteReader reader(frame.body);
  return frame.type == FrameType::kSettled && reader.get<uint64_t>() == sequence;
}

bool send_file(const Channel& service, UniqueFd file) {
  return service
      .send(FrameBuilder(FrameType::kFile)
                .number(uint64_t{1})
                .text("file")
                .error(std::nullopt)
                .fd(std::move(file))
                .build())
      .has_value();
}

// Hands out one file for one Handle, and says that it is done when all is published; before that it
// waits for its file to be taken, or it does not.
int restore_of_a_test(const Channel& service, bool waits) {
  const auto say = [&](FrameBuilder& frame) { return service.send(frame.build()).has_value(); };
  const auto done = [&] { return say(FrameBuilder(FrameType::kDone).error(std::nullopt)); };
  for (;;) {
    const auto arrival = service.receive();
    if (!arrival || arrival->receipt != Receipt::kMessage) return 1;
    for (const auto& frame : arrival->frames) {
      bool told = true;
      if (frame.type == FrameType::kHandle) {
        told = send_file(service, UniqueFd(::memfd_create("file", MFD_CLOEXEC)));
      } else if (frame.type == FrameType::kPublishFile) {
        ByteReader reader(frame.body);
        told = say(FrameBuilder(FrameType::kPublished)
                       .number(reader.get<uint32_t>())
                       .error(std::nullopt)) &&
               (waits || done());
      } else if (waits && is_settled(frame, 1)) {
        told = done();
      } else if (is_settled(frame, kDoneSequence)) {
        return 0;
      }
      if (!told) return 1;
    }
  }
}

// Sends so many, or one of that length, and says that it is done.
std::optional<int> limits_of_a_test(const Channel& service, std::string_view name) {
  const auto reports = number_behind(name, "com.example.reports-");
  const auto files = number_behind(name, "com.example.files-");
  const auto text = number_behind(name, "com.example.text-");
  if (!reports && !files && !text) return std::nullopt;
  std::vector<Frame> frames;
  for (size_t i = 0; i < reports.value_or(0); ++i) {
    frames.push_back(FrameBuilder(FrameType::kReport).text("{}").build());
  }
  for (uint64_t i = 1; i <= files.value_or(0); ++i) {
    frames.push_back(FrameBuilder(FrameType::kFile)
                         .number(i)
                         .text("file")
                         .error(Error{Code::kNoSpace, 0, "none"})
                         .build());
  }
  if (text) {
    frames.push_back(FrameBuilder(FrameType::kReport).text(std::string(*text, 'x')).build());
  }
  frames.push_back(FrameBuilder(FrameType::kDone).error(std::nullopt).build());
  for (const auto& frame : frames) {
    if (!service.send(frame)) return 1;
  }
  return 0;
}

}  // namespace

int test_extension_main() {
  const Channel service{UniqueFd(3)};
  const auto start = service.receive();
  if (!start || start->frames.size() != 1) return 1;
  const auto settings = read_sealed(start->frames[0].fds[1].borrow(), kMaxListBytes);
  if (!settings) return 1;
  const std::string_view text(reinterpret_cast<const char*>(settings->data()), settings->size());
  if (text.find("never-opens") != std::string_view::npos) return service.receive() ? 0 : 1;
  if (!service.send(FrameBuilder(FrameType::kOpened).build())) return 1;
  if (text.find("gives-up") != std::string_view::npos) {
    const Error error{Code::kIpc, 0, "no"};
    return service.send(FrameBuilder(FrameType::kDone).error(error).build()) ? 0 : 1;
  }
  if (!service.receive()) return 1;  // it is to begin
  for (const auto& [name, waits] : {std::pair("waits", true), std::pair("hurries", false)}) {
    if (text.find(std::string("com.example.") + name) != std::string_view::npos) {
      return restore_of_a_test(service, waits);
    }
  }
  if (const auto limits = limits_of_a_test(service, text)) return *limits;
  if (text.find("com.example.silent") != std::string_view::npos) {
    return service.receive().has_value() ? 0 : 1;
  }
  if (text.find("com.example.long") != std::string_view::npos) {
    return service.send(FrameBuilder(FrameType::kReport).text("{}").number(1).build()) ? 0 : 1;
  }
  if (text.find("com.example.recovers") != std::string_view::npos) {
    for (int i = 0; i < 3; ++i) {
      if (!service.send(FrameBuilder(FrameType::kRecovered).text("once more").build())) return 1;
    }
    return service.send(FrameBuilder(FrameType::kDone).error(std::nullopt).build()) ? 0 : 1;
  }
  if (text.find("com.example.progress") != std::string_view::npos) {
    const Frame progress =
        FrameBuilder(FrameType::kProgress).text("scan").text("").text("{}").build();
    for (int i = 0; i < 10'000; ++i) {
      if (!service.send(progress)) return 1;
    }
    return service.send(FrameBuilder(FrameType::kDone).error(std::nullopt).build()) ? 0 : 1;
  }
  if (text.find("com.example.flood") != std::string_view::npos) {
    const auto made = sealed_memfd("file", {});
    if (!made) return 1;
    auto file = reopen_readonly(made->borrow());
    if (!file || !send_file(service, std::move(*file))) return 1;
  }
  if (text.find("com.example.pipe") != std::string_view::npos) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return 1;
    const UniqueFd other(ends[1]);
    return send_file(service, UniqueFd(ends[0])) ? 0 : 1;
  }
  const Frame report = FrameBuilder(FrameType::kReport).text("{}").build();
  for (int i = 0; i < 1000; ++i) {
    if (!service.send(report)) return 1;
  }
  return service.send(FrameBuilder(FrameType::kDone).error(std::nullopt).build()) ? 0 : 1;
}

}  // namespace backupkit
