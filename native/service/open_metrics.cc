#include "native/service/open_metrics.h"

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace backupkit {
namespace {

std::string escaped(std::string_view value) {
  std::string text;
  for (const char byte : value) {
    if (byte == '\\' || byte == '"') text += '\\';
    if (byte == '\n') {
      text += "\\n";
    } else {
      text += byte;
    }
  }
  return text;
}

}  // namespace

void OpenMetrics::family(Type type, std::string_view name, std::string_view unit,
                         std::string_view help) {
  const bool counts = type == Type::kCounter;
  const auto put_line = [&](std::string_view keyword, std::string_view text) {
    for (const auto piece : {std::string_view("# "), keyword, std::string_view(" "), name,
                             std::string_view(" "), text, std::string_view("\n")}) {
      text_ += piece;
    }
  };
  put_line("TYPE", counts ? "counter" : "gauge");
  if (!unit.empty()) put_line("UNIT", unit);
  put_line("HELP", escaped(help));
  name_ = std::string(name) + (counts ? "_total" : "");
}

void OpenMetrics::sample(Labels labels, uint64_t value) { put(labels, std::to_string(value)); }

void OpenMetrics::sample(Labels labels, double value) {
  if (std::isinf(value)) return put(labels, value > 0 ? "+Inf" : "-Inf");
  // Not to_chars(3): the tables of its double are a twelfth of the program.
  put(labels, nlohmann::json(value).dump());
}

void OpenMetrics::put(Labels labels, std::string_view value) {
  text_ += name_;
  char before = '{';
  for (const auto& [name, text] : labels) {
    text_ += std::exchange(before, ',');
    text_ += std::string(name) + "=\"" + escaped(text) + "\"";
  }
  if (before == ',') text_ += '}';
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

std::string OpenMetrics::finish() {
  text_ += "# EOF\n";
  return std::move(text_);
}

}  // namespace backupkit
