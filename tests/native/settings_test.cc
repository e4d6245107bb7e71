#include "native/extension/settings.h"

#include <gtest/gtest.h>

#include <string>

namespace backupkit {
namespace {

TEST(SettingsTest, what_no_service_would_give_is_an_error) {
  for (const std::string text :
       {"", "[]", R"({"name":1})", R"({"includes":{}})", R"({"includes":[1]})",
        R"({"excludes":"a"})", R"({"packingLimit":"a"})", R"({"version":1})",
        R"({"version":{"code":"a"}})", R"({"options":[]})", R"({"freezes":1})",
        R"({"compatibleDirMapping":["a"]})", R"({"compatibleDirMapping":[{"backupDir":1}]})"}) {
    const auto settings = Settings::parse(text);
    ASSERT_FALSE(settings) << text;
    EXPECT_EQ(settings.error().code, Code::kInvalidArgument) << text;
  }
  EXPECT_EQ(Settings::parse(R"({"name":"app"})").value().bundle, "app");
}

}  // namespace
}  // namespace backupkit
