#include "native/extension/report.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "native/protocol/wire.h"

namespace backupkit {
namespace {

using nlohmann::json;

// Names of files are bytes and JSON is not.
std::string text_of(const json& info) {
  return json{{"resultInfo", info}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string result_report(const Tally& tally, const json& more) {
  json details = json::array();
  size_t size = 0;
  for (const auto& line : tally.details) {
    size += line.size();
    if (size < kMaxText / 8) details.push_back(line);
  }
  const json count = {{"type", "CountInfo"},
                      {"infos", json::array({{{"backupType", tally.kind},
                                              {"successCount", tally.stored},
                                              {"duplicateCount", tally.unchanged},
                                              {"failedCount", tally.failed},
                                              {"details", details}}})}};
  json totals = {{"type", "Totals"},
                 {"stored", tally.stored},
                 {"bytes", tally.bytes_moved + tally.bytes_shared},
                 {"bytesMoved", tally.bytes_moved},
                 {"bytesShared", tally.bytes_shared},
                 {"seconds", tally.spent.count()}};
  totals.update(more);
  return text_of(json::array({count, totals}));
}

std::string failure_report(const Error& error) {
  const json info = {{"type", "ErrorInfo"},
                     {"errorCode", std::to_string(static_cast<int>(error.code))},
                     {"errorInfo", error.message()}};
  return text_of(json::array({info}));
}

}  // namespace backupkit
