// Text of the OpenMetrics format 1.0.
//
//   text    = *family "# EOF" LF
//   family  = "# TYPE " name " " type LF [ "# UNIT " name " " unit LF ] "# HELP " name " " help LF
//             *sample
//   sample  = name [ "_total" ] [ "{" label *( "," label ) "}" ] " " number LF
//   label   = name "=" DQUOTE value DQUOTE      in it \ is \\, DQUOTE is \", LF is \n
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace backupkit {

// Writes one family after the other, each with its samples behind it.
class OpenMetrics {
 public:
  enum class Type : uint8_t { kCounter, kGauge };
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // `name` ends with `_unit` where there is one; "_total" is put behind a counter's in its samples.
  void family(Type type, std::string_view name, std::string_view unit, std::string_view help);

  // Of the family that was begun last, each with other labels.
  void sample(Labels labels, uint64_t value);
  void sample(Labels labels, double value);

  // The whole text.
  [[nodiscard]] std::string finish();

 private:
  void put(Labels labels, std::string_view value);

  std::string text_;
  std::string name_;  // of the family's samples
};

}  // namespace backupkit
