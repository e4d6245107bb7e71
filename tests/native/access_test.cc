#include "native/service/access.h"

#include <gtest/gtest.h>

#include <fstream>

#include "native/base/json.h"
#include "tests/native/census.h"

namespace backupkit {
namespace {

// service.json as a file, and what is said about it.
class Access : public Census {
 protected:
  Access() { std::filesystem::create_directories(scratch_ / "etc/backupkit"); }

  Result<ServiceSettings> read(const std::string& text) {
    std::ofstream(scratch_ / "etc/backupkit/service.json") << text;
    return ServiceSettings::read(scratch_.fd());
  }

  // What is wrong with it, without the file's name.
  std::string wrong(const std::string& text) {
    auto settings = read(text);
    if (settings) return "nothing";
    EXPECT_EQ(settings.error().code, Code::kInvalidArgument);
    const std::string file = "etc/backupkit/service.json: ";
    const auto message = settings.error().message();
    EXPECT_TRUE(message.starts_with(file)) << message;
    return message.substr(file.size());
  }

 private:
  ScratchDirectory scratch_;
};

TEST_F(Access, without_a_file_root_and_the_services_user_may_call) {
  const ScratchDirectory empty;
  auto settings = ServiceSettings::read(empty.fd()).value();
  EXPECT_FALSE(settings.refusal(0).has_value());
  EXPECT_FALSE(settings.refusal(::geteuid()).has_value());
  EXPECT_EQ(settings.refusal(4'000'000'000U)->code, Code::kPermissionDenied);
  EXPECT_EQ(settings.max_extensions, 3U);
  EXPECT_EQ(settings.packing_limit, 2U << 20);
  EXPECT_EQ(settings.max_send_rate, 800U);
  EXPECT_EQ(settings.idle_limit, std::chrono::minutes(15));
}

TEST_F(Access, what_is_nested_deep_is_refused) {
  constexpr size_t kDepth = 100'000;
  EXPECT_NE(wrong(std::string(kDepth, '[') + std::string(kDepth, ']')).find("nested too deep"),
            std::string::npos);
}

TEST_F(Access, what_is_nested_in_100_levels_is_read_and_no_more) {
  const auto nested = [](int levels) {
    return R"({"more": )" + std::string(static_cast<size_t>(levels - 1), '[') +
           std::string(static_cast<size_t>(levels - 1), ']') + "}";
  };
  EXPECT_EQ(wrong(nested(kMostNested)), "nothing");
  EXPECT_NE(wrong(nested(kMostNested + 1)).find("nested too deep"), std::string::npos);
}

TEST_F(Access, a_file_of_1_MiB_is_read_and_no_longer_one) {
  const std::string longest = "{" + std::string((size_t{1} << 20U) - 2, ' ') + "}";
  EXPECT_EQ(wrong(longest), "nothing");
  EXPECT_EQ(wrong(longest + " "), "it has more than 1048576 bytes");
}

TEST_F(Access, every_key_is_taken) {
  auto settings = read(R"({
    // Comments are allowed.
    "callers": [{"uid": 7, "backup": true, "system": true}, {"uid": 8, "backup": true},
                {"uid": 9, "system": true}, {"uid": 4294967294}],
    "deviceType": "phone", "systemFullName": "Example-1.0", "maxExtensions": 64,
    "packingLimit": 0, "maxSendRate": 0, "idleLimit": 1, "unknown": {"callers": 5}
  })")
                      .value();
  EXPECT_FALSE(settings.refusal(7).has_value());
  EXPECT_EQ(settings.refusal(8)->code, Code::kNotSystemApp);
  EXPECT_EQ(settings.refusal(9)->code, Code::kPermissionDenied);
  EXPECT_EQ(settings.refusal(4294967294U)->code, Code::kPermissionDenied);
  EXPECT_EQ(settings.refusal(0)->code, Code::kPermissionDenied) << "a list is the whole list";
  EXPECT_EQ(settings.device_type, "phone");
  EXPECT_EQ(settings.system_name, "Example-1.0");
  EXPECT_EQ(settings.max_extensions, 64U);
  EXPECT_EQ(settings.packing_limit, 0U);
  EXPECT_EQ(settings.max_send_rate, 0U);
  EXPECT_EQ(settings.idle_limit, std::chrono::milliseconds(1));
}

TEST_F(Access, a_value_that_is_wrong_is_named_with_its_line) {
  EXPECT_EQ(wrong("{\n\"deviceType\": 5}"), "line 2: deviceType is not a text");
  EXPECT_EQ(wrong("{\n\n\"systemFullName\": null}"), "line 3: systemFullName is not a text");
  for (const auto* value : {"0", "65", "-1", "1.5", "\"3\"", "1e9", "18446744073709551616"}) {
    EXPECT_EQ(wrong("{\n\"maxExtensions\":\n" + std::string(value) + "}"),
              "line 2: maxExtensions is not a number from 1 to 64");
  }
  EXPECT_EQ(wrong("{\"packingLimit\": -1}"),
            "line 1: packingLimit is not a number from 0 to 9223372036854775807");
  EXPECT_EQ(wrong("{\n\n\n\"maxSendRate\": 1000001}"),
            "line 4: maxSendRate is not a number from 0 to 1000000");
  EXPECT_EQ(wrong("{\n\"idleLimit\": 0}"),
            "line 2: idleLimit is not a number from 1 to 1000000000");
}

TEST_F(Access, a_caller_that_is_wrong_is_named_with_its_line) {
  EXPECT_EQ(wrong("{\n\"callers\": {}}"), "line 2: callers is not a list");
  EXPECT_EQ(wrong("{\"callers\": [\n{\"uid\": 1},\n{\"uid\": -1}]}"), "line 3: uid is not a uid");
  EXPECT_EQ(wrong("{\"callers\": [\n{\"uid\": 4294967295}]}"), "line 2: uid is not a uid");
  EXPECT_EQ(wrong("{\"callers\": [\n{\"uid\": 1},\n\n{\"backup\": true}]}"),
            "line 4: callers has an entry without a uid");
  EXPECT_EQ(wrong("{\"callers\": [\n{\"uid\": 1},\n17]}"),
            "line 3: callers has an entry without a uid");
}

// The lines of keys that others have and this one has not, too, and of what only looks like a key.
TEST_F(Access, the_line_is_that_of_the_very_value) {
  EXPECT_EQ(wrong("{\"callers\": [\n{\"uid\": 1},\n{\"uid\": 2,\n\"backup\": 1}\n]\n}\n"),
            "line 4: backup is not true or false");
  EXPECT_EQ(wrong("{\"callers\": [\n{\"uid\": 1, \"system\": true},\n"
                  "{\"uid\": 2},\n{\"uid\": 3,\n\"system\": \"yes\"}]}"),
            "line 5: system is not true or false");
  EXPECT_EQ(wrong("{\n// \"idleLimit\": 5\n\"deviceType\": \"idleLimit\",\n\"idleLimit\": 0}"),
            "line 4: idleLimit is not a number from 1 to 1000000000");
  EXPECT_EQ(wrong("{\n\"other\": {\"maxSendRate\": 1},\n\"maxSendRate\": -5}"),
            "line 3: maxSendRate is not a number from 0 to 1000000");
  EXPECT_EQ(wrong("{\"callers\": [\n17,\n{\"uid\": 1}],\n\"callers\": [\n{\"uid\": true}]}"),
            "line 5: uid is not a uid");
  EXPECT_EQ(wrong("{\n\"idle\\u004cimit\": 0}"),
            "line 2: idleLimit is not a number from 1 to 1000000000");
}

TEST_F(Access, what_is_no_json_is_named_with_its_line) {
  EXPECT_NE(wrong("{\n\"deviceType\": \"phone\",\n}").find("line 3"), std::string::npos);
  EXPECT_NE(wrong("").find("line 1"), std::string::npos);
  EXPECT_EQ(wrong("\n[]"), "line 2: not a JSON object");
  EXPECT_EQ(wrong("17"), "line 1: not a JSON object");
}

}  // namespace
}  // namespace backupkit
