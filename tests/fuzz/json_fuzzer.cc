// Any text as each of the JSON files that the service and an extension read, and as a client's and
// an app's own words: an error, or what the next one can read.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "native/extension/mapping.h"
#include "native/extension/settings.h"
#include "native/service/access.h"
#include "native/service/bundle_settings.h"
#include "native/service/catalog.h"
#include "native/service/origin.h"
#include "native/service/survey.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/native/scratch_directory.h"

namespace backupkit {
namespace {

const std::string kName = "app";

// A device root whose files have any text.
class Device {
 public:
  Device() { std::filesystem::create_directories(scratch_ / "etc/backupkit/bundles"); }

  [[nodiscard]] BorrowedFd root() const { return scratch_.fd(); }
  void put(const std::string& name, std::string_view text) const {
    std::ofstream(scratch_ / ("etc/backupkit/" + name)) << text;
  }

 private:
  ScratchDirectory scratch_{memory_directory()};
};

// What the service makes of a bundle and a client's words is what an extension reads.
void hand_on(const Bundle& bundle, std::string_view words) {
  BundleRequest request;
  request.name = bundle.name;
  request.app_info = words;
  request.options = words;
  for (const auto kind : {SessionKind::kBackup, SessionKind::kRestore}) {
    const auto settings = Settings::parse(settings_of(kind, bundle, request, Origin{}, 0));
    check(settings && settings->bundle == bundle.name);
    if (kind == SessionKind::kBackup)
      check(std::ranges::equal(settings->mapping, bundle.mapping, {}, &Move::to, &Move::to));
  }
}

void read_bundle_file(const Device& device, std::string_view text) {
  device.put("bundles/" + kName + ".json", text);
  const auto bundle = read_bundle(device.root(), kName);
  if (!bundle) return check(bundle.error().code == Code::kNotAdded);
  hand_on(*bundle, text);
  const auto capabilities = survey(device.root(), ServiceSettings{}, SurveyScope{});
  check(capabilities.has_value());
  const auto origins = read_origins(*capabilities);
  check(origins && origins->contains(kName));
}

void read_service_file(const Device& device, std::string_view text) {
  device.put("service.json", text);
  const auto settings = ServiceSettings::read(device.root());
  if (!settings) check(settings.error().code == Code::kInvalidArgument);
}

void read_all(std::string_view text) {
  static const Device device;
  read_bundle_file(device, text);
  read_service_file(device, text);
  Bundle plain;
  plain.name = kName;
  plain.scenes = {{"scene", {"a/"}, {"b"}}};
  plain.mapping = {{"from", "to"}, {"from", "elsewhere"}};
  hand_on(plain, text);
  if (const auto origins = read_origins(text); !origins) {
    check(origins.error().code == Code::kInvalidArgument);
  }
  if (const auto settings = Settings::parse(std::string(text)); !settings) {
    check(settings.error().code == Code::kInvalidArgument);
  }
  const auto moves = chosen_moves(std::string(text), plain.mapping);
  if (!moves) check(moves.error().code == Code::kExtensionThrew);
}

}  // namespace
}  // namespace backupkit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  backupkit::read_all(backupkit::text_of({data, size}));
  return 0;
}
