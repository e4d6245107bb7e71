#include "native/service/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "native/io/tmpfile.h"
#include "native/io/unix_socket.h"
#include "native/protocol/channel.h"
#include "tests/native/census.h"
#include "tests/native/open_metrics_check.h"
#include "tests/native/talk.h"
#include "tests/native/test_extension.h"

namespace backupkit {
namespace {

using ServerTest = Census;

std::chrono::nanoseconds time_spent() {
  timespec spent{};
  EXPECT_EQ(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent), 0);
  return std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec);
}

TEST_F(ServerTest, a_client_for_whom_there_is_no_descriptor_waits_and_costs_nothing) {
#ifdef __clang__
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "this sanitizer looks at memory through a pipe, for which there is no descriptor";
#endif
#endif
  const ScratchDirectory scratch;
  auto loop = Loop::make().value();
  size_t idle = 0;
  Server server(*loop, scratch.fd(), ServiceSettings{}, [&] { ++idle; });
  const auto path = scratch / "socket";
  ASSERT_TRUE(server.listen(listen_seqpacket(path, 0600).value()).has_value());
  auto client = connect_seqpacket(path).value();

  rlimit kept{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &kept), 0);
  rlimit full = kept;
  full.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &full), 0);
  const auto before = time_spent();
  // Being late makes it run longer, and no busier.
  loop->call_at(Loop::Clock::now() + std::chrono::milliseconds(300), [&] { loop->stop(); });
  ASSERT_TRUE(loop->run().has_value());
  EXPECT_LT(time_spent() - before, std::chrono::milliseconds(100));
  EXPECT_TRUE(server.is_idle());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &kept), 0);

  const std::function<void()> look = [&] {
    if (!server.is_idle()) return loop->stop();
    loop->call_at(Loop::Clock::now() + std::chrono::milliseconds(1), look);
  };
  look();
  ASSERT_TRUE(loop->run().has_value());
  EXPECT_FALSE(server.is_idle());
  client.reset();
  server.shut_down();
  EXPECT_GE(idle, 1U);
  EXPECT_FALSE(connect_seqpacket(path).has_value()) << "it accepts nobody any more";
}

constexpr size_t kMostHeld = size_t{2} * kMaxWindow;

UniqueFd list_of(const std::string& name, const std::string& options = "") {
  std::vector<BundleRequest> list(1);
  list[0].name = name;
  list[0].options = options;
  return sealed_memfd("list", encode_list(list)).value();
}

void open_session(Talk& talk, SessionKind kind = SessionKind::kIncremental) {
  talk.say(
      FrameBuilder(FrameType::kOpenSession).number(uint32_t{1}).number(static_cast<uint8_t>(kind)));
  const Frame answer = talk.hear(FrameType::kReply);
  ByteReader reply(answer.body);
  EXPECT_EQ(reply.get<uint32_t>(), 1U);
  EXPECT_FALSE(read_error(reply).has_value());
}

TEST_F(ServerTest, strangers_who_break_the_protocol_have_few_lines_of_the_log) {
  const ScratchDirectory scratch;
  auto loop = Loop::make().value();
  Server server(*loop, scratch.fd(), ServiceSettings{}, [&] { loop->stop(); });
  testing::internal::CaptureStderr();
  for (int i = 0; i < 50; ++i) {
    auto pair = seqpacket_pair().value();
    ASSERT_TRUE(server.adopt(std::move(pair.first), false));
    const Channel stranger(std::move(pair.second));
    ASSERT_TRUE(stranger.send(FrameBuilder(FrameType::kVersion).number(uint32_t{1}).build()));
    ASSERT_TRUE(loop->run());
  }
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_GE(std::ranges::count(log, '\n'), 1) << log;
  EXPECT_LT(std::ranges::count(log, '\n'), 50) << log;
}

TEST_F(ServerTest, an_append_of_which_a_part_was_refused_appends_nothing) {
  Talk talk;
  open_session(talk);
  talk.append(2, true, UniqueFd(::memfd_create("unsealed", MFD_CLOEXEC)));
  talk.append(2, false, list_of("com.example.second"));
  talk.append(3, false, list_of("com.example.third"));
  const Frame end = talk.hear(FrameType::kAllEnd);
  ASSERT_EQ(end.type, FrameType::kAllEnd);
  std::vector<uint32_t> refused;
  for (const auto& frame : talk.heard()) {
    ByteReader reader(frame.body);
    if (frame.type == FrameType::kReply) {
      const auto request = reader.get<uint32_t>();
      if (read_error(reader)) refused.push_back(request);
    } else if (frame.type == FrameType::kBundleBegin) {
      EXPECT_EQ(reader.get_text(kMaxNameText), "com.example.third");
    }
  }
  EXPECT_EQ(refused, std::vector<uint32_t>{2});
}

TEST_F(ServerTest, an_append_takes_nothing_of_one_that_was_left_unfinished) {
  Talk talk;
  open_session(talk);
  talk.append(2, true, list_of("com.example.left"));
  talk.append(3, false, list_of("com.example.whole"));
  ASSERT_EQ(talk.hear(FrameType::kAllEnd).type, FrameType::kAllEnd);
  std::set<std::string> begun;
  for (const auto& frame : talk.heard()) {
    if (frame.type != FrameType::kBundleBegin) continue;
    ByteReader reader(frame.body);
    begun.insert(reader.get_text(kMaxNameText));
  }
  EXPECT_EQ(begun, std::set<std::string>{"com.example.whole"});
}

MetricsReader::Samples metrics_of(Talk& talk) {
  talk.say(FrameBuilder(FrameType::kMetrics).number(uint32_t{9}));
  Frame answer = talk.hear(FrameType::kReply);
  if (answer.fds.size() != 1) return {};
  const auto bytes = read_sealed(answer.fds[0].borrow(), kMaxListBytes).value();
  return MetricsReader::read(std::string(bytes.begin(), bytes.end()));
}

TEST_F(ServerTest, metrics_are_sealed_and_tell_of_sessions_and_bundles) {
  Talk talk;
  EXPECT_EQ(metrics_of(talk).at(R"(backupkit_sessions_open{kind="incremental"})"), 0);
  open_session(talk);
  const auto during = metrics_of(talk);
  EXPECT_EQ(during.at(R"(backupkit_sessions_open{kind="incremental"})"), 1);
  EXPECT_EQ(during.at(R"(backupkit_sessions_opened_total{kind="incremental"})"), 1);
  EXPECT_EQ(during.at("backupkit_connections"), 1);
  talk.append(2, false, list_of("com.example.none"));
  ASSERT_EQ(talk.hear(FrameType::kAllEnd).type, FrameType::kAllEnd);
  EXPECT_EQ(metrics_of(talk).at(R"(backupkit_bundles_refused_total{code="13500001"})"), 1);
}

TEST_F(ServerTest, a_bundle_that_ended_is_counted_by_its_code) {
  Talk talk;
  talk.install("com.example.long");
  open_session(talk);
  talk.append(2, false, list_of("com.example.long"));
  ASSERT_EQ(talk.hear(FrameType::kAllEnd).type, FrameType::kAllEnd);
  const auto after = metrics_of(talk);
  EXPECT_EQ(after.at(R"(backupkit_bundles_ended_total{code="13600001"})"), 1);
  EXPECT_EQ(after.at("backupkit_extensions_started_total"), 1);
  EXPECT_EQ(after.at("backupkit_extensions_killed_total"), 1);
  EXPECT_FALSE(after.contains(R"(backupkit_bundle_files{bundle="com.example.long"})"));
}

TEST_F(ServerTest, a_request_without_its_descriptor_ends_the_conversation_alone) {
  for (const auto type : {FrameType::kDataSize, FrameType::kAppCall}) {
    Talk talk;
    FrameBuilder request(type);
    request.number(uint32_t{1}).number(uint8_t{0});
    if (type == FrameType::kAppCall) request.text("com.example.notes");
    talk.say(request);
    EXPECT_NE(talk.hear(FrameType::kReply).type, FrameType::kReply);
    EXPECT_TRUE(talk.is_idle());
  }
}

// The result of a bundle whose extension is extension_of_a_test().
Error end_of(const std::string& bundle, size_t& reports, const std::string& options = "") {
  Talk talk;
  talk.install(bundle);
  open_session(talk);
  talk.append(2, false, list_of(bundle, options));
  const Frame end = talk.hear(FrameType::kBundleEnd);
  reports =
      static_cast<size_t>(std::ranges::count(talk.heard(), FrameType::kResultReport, &Frame::type));
  ByteReader reader(end.body);
  EXPECT_EQ(reader.get_text(kMaxNameText), bundle);
  return read_error(reader).value_or(Error{});
}

TEST_F(ServerTest, an_extension_that_floods_with_reports_is_ended) {
  size_t reports = 0;
  EXPECT_EQ(end_of("com.example.flood", reports).code, Code::kIpc);
  EXPECT_EQ(reports, 0U) << "the file before them was not taken";
}

TEST_F(ServerTest, an_extension_that_reports_without_end_is_ended) {
  size_t reports = 0;
  EXPECT_EQ(end_of("com.example.reports", reports).code, Code::kIpc);
  EXPECT_EQ(reports, 16U);
}

// Its hook is still at work when its turn comes, which no other bundle opens the way to before.
TEST_F(ServerTest, an_extension_that_has_ended_before_its_turn_does_not_begin) {
  Talk talk;
  talk.install("com.example.1-never-opens");
  talk.install("com.example.2-gives-up", R"("extension": {"command": ["/bin/cat"]}, )");
  talk.install("com.example.3-silent");
  open_session(talk);
  std::vector<BundleRequest> list(3);
  list[0].name = "com.example.1-never-opens";
  list[1].name = "com.example.2-gives-up";
  list[2].name = "com.example.3-silent";
  talk.append(2, false, sealed_memfd("list", encode_list(list)).value());
  const Frame begin = talk.hear(FrameType::kBundleBegin);
  ByteReader reader(begin.body);
  EXPECT_EQ(reader.get_text(kMaxNameText), "com.example.3-silent");
  EXPECT_FALSE(read_error(reader).has_value());
  EXPECT_TRUE(talk.leave());
}

// How a bundle ends whose extension does what its name says, when the client takes the files once
// so many have come.
std::optional<Error> end_of_taken(const std::string& bundle, size_t files) {
  ServiceSettings settings;
  settings.max_send_rate = 0;
  Talk talk(settings);
  talk.install(bundle);
  open_session(talk);
  talk.append(2, false, list_of(bundle));
  const auto count = [&](FrameType type) {
    return static_cast<size_t>(std::ranges::count(talk.heard(), type, &Frame::type));
  };
  for (size_t singly = 0; singly + count(FrameType::kFileReady) < files; ++singly) {
    EXPECT_EQ(talk.hear(FrameType::kFileReady).type, FrameType::kFileReady);
  }
  for (uint64_t i = 1; i <= files; ++i) {
    talk.say(FrameBuilder(FrameType::kSettle).number(i).number(uint8_t{0}));
  }
  if (count(FrameType::kAllEnd) == 0) (void)talk.hear(FrameType::kAllEnd);
  const auto end = std::ranges::find(talk.heard(), FrameType::kBundleEnd, &Frame::type);
  if (end == talk.heard().end()) return Error{Code::kIpc, 0, "it did not end"};
  ByteReader reader(end->body);
  EXPECT_EQ(reader.get_text(kMaxNameText), bundle);
  return read_error(reader);
}

TEST_F(ServerTest, what_an_extension_sends_has_limits_that_its_end_names) {
  for (const auto& [most, more, named] :
       {std::array<std::string, 3>{"reports-16", "reports-17", "more than 16 reports"},
        {"files-128", "files-129", "more than 128 files and reports that nobody has taken yet"},
        {"text-32768", "text-32769", "a text of more than 32768 bytes"}}) {
    const size_t files = most.starts_with("files") ? kMostHeld : 0;
    const auto good = end_of_taken("com.example." + most, files);
    EXPECT_FALSE(good) << good->message();
    const auto bad = end_of_taken("com.example." + more, 0);  // one taken would make room
    ASSERT_TRUE(bad) << more;
    EXPECT_EQ(bad->code, Code::kIpc);
    EXPECT_TRUE(bad->message().contains(named)) << bad->message();
    EXPECT_TRUE(bad->message().contains("'com.example." + more + "'")) << bad->message();
  }
}

TEST_F(ServerTest, a_name_has_at_most_512_bytes) {
  for (const size_t size : {kMaxNameText, kMaxNameText + 1}) {
    Talk talk;
    testing::internal::CaptureStderr();
    talk.say(FrameBuilder(FrameType::kFileHandle)
                 .number(uint32_t{1})
                 .text("com.example.notes")
                 .text(std::string(size, 'x')));
    const auto heard = talk.hear(FrameType::kReply).type;
    const auto log = testing::internal::GetCapturedStderr();
    EXPECT_EQ(heard == FrameType::kReply, size == kMaxNameText);
    EXPECT_EQ(log.contains("type 5 has a text of more than 512 bytes"), size > kMaxNameText) << log;
  }
}

TEST_F(ServerTest, a_client_has_at_most_16_questions_without_an_answer) {
  Talk talk;
  talk.install("com.example.silent");
  for (uint32_t i = 1; i <= 17; ++i) {
    talk.say(FrameBuilder(FrameType::kAppCall)
                 .number(i)
                 .number(static_cast<uint8_t>(AppCall::kCleanTemp))
                 .text("com.example.silent")
                 .fd(sealed_memfd("argument", {}).value()));
  }
  const Frame answer = talk.hear(FrameType::kReply);
  ByteReader reader(answer.body);
  EXPECT_EQ(reader.get<uint32_t>(), 17U) << "the others are being worked on";
  const auto error = read_error(reader);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::kOutOfMemory);
  EXPECT_TRUE(error->message().contains("16 questions")) << error->message();
  EXPECT_TRUE(talk.leave());
}

// How the appending of these ends, and what is said then.
std::string appending_of(std::vector<UniqueFd> lists) {
  Talk talk;
  open_session(talk);
  for (size_t i = 0; i < lists.size(); ++i) {
    talk.append(2, i + 1 < lists.size(), std::move(lists[i]));
  }
  const Frame answer = talk.hear(FrameType::kReply);
  ByteReader reader(answer.body);
  EXPECT_EQ(reader.get<uint32_t>(), 2U);
  const auto error = read_error(reader);
  return error ? error->message() : "";
}

UniqueFd list_of_size(size_t size) {
  std::vector<BundleRequest> list(1);
  list[0].name = "com.example.none";
  list[0].app_info.resize(size - encode_list(list).size(), 'x');
  return sealed_memfd("list", encode_list(list)).value();
}

std::vector<UniqueFd> both(UniqueFd one, UniqueFd other) {
  std::vector<UniqueFd> lists;
  lists.push_back(std::move(one));
  lists.push_back(std::move(other));
  return lists;
}

TEST_F(ServerTest, the_lists_of_an_append_have_at_most_64_MiB_together) {
  constexpr size_t kHalf = kMaxListBytes / 2;
  EXPECT_EQ(appending_of(both(list_of_size(kHalf), list_of_size(kHalf))), "");
  const auto more = appending_of(both(list_of_size(kHalf), list_of_size(kHalf + 1)));
  EXPECT_TRUE(more.contains("67108864 bytes")) << more;
  std::vector<UniqueFd> one;
  one.push_back(list_of_size(kMaxListBytes + 1));
  const auto alone = appending_of(std::move(one));
  EXPECT_TRUE(alone.contains("the list of bundles: it has more than 67108864 bytes")) << alone;
}

TEST_F(ServerTest, the_lists_of_an_append_have_at_most_100000_bundles_together) {
  std::vector<BundleRequest> most(kMaxBundles);
  for (size_t i = 0; i < most.size(); ++i) most[i].name = "n" + std::to_string(i);
  const auto list = sealed_memfd("list", encode_list(most)).value();
  const auto more = appending_of(both(reopen_readonly(list.borrow()).value(), list_of("one.more")));
  EXPECT_TRUE(more.contains("more than 100000 bundles")) << more;
}

TEST_F(ServerTest, of_progress_without_end_a_client_is_told_some) {
  Talk talk;
  talk.install("com.example.progress");
  open_session(talk);
  talk.append(2, false, list_of("com.example.progress"));
  (void)talk.hear(FrameType::kBundleEnd);
  const auto told = std::ranges::count(talk.heard(), FrameType::kProcess, &Frame::type);
  EXPECT_GE(told, 1);
  EXPECT_LT(told, 1000);
}

TEST_F(ServerTest, what_is_no_file_does_not_reach_the_client) {
  Talk talk;
  talk.install("com.example.pipe");
  open_session(talk);
  talk.append(2, false, list_of("com.example.pipe"));
  const Frame end = talk.hear(FrameType::kBundleEnd);
  ByteReader reader(end.body);
  EXPECT_EQ(reader.get_text(kMaxNameText), "com.example.pipe");
  EXPECT_EQ(read_error(reader).value_or(Error{}).code, Code::kIpc);
  EXPECT_EQ(std::ranges::count(talk.heard(), FrameType::kFileReady, &Frame::type), 0);
}

TEST_F(ServerTest, a_report_that_does_not_follow_the_grammar_is_not_told) {
  size_t reports = 0;
  EXPECT_EQ(end_of("com.example.long", reports).code, Code::kIpc);
  EXPECT_EQ(reports, 0U);
}

TEST_F(ServerTest, options_that_are_nested_deep_end_nothing) {
  constexpr size_t kDepth = 1'000'000;
  const auto deep = "{\"a\":" + std::string(kDepth, '[') + std::string(kDepth, ']') + "}";
  size_t reports = 0;
  EXPECT_EQ(end_of("com.example.long", reports, deep).code, Code::kIpc) << "its extension has run";
}

// A client that has just heard that its restore of such a bundle is published.
void publish(Talk& talk, const std::string& bundle) {
  talk.install(bundle);
  open_session(talk, SessionKind::kRestore);
  const auto capabilities = R"({"bundleInfos": [{"name": ")" + bundle + R"("}]})";
  const std::span bytes(reinterpret_cast<const uint8_t*>(capabilities.data()), capabilities.size());
  talk.say(FrameBuilder(FrameType::kAppend)
               .number(uint32_t{2})
               .number(uint8_t{0})
               .fd(list_of(bundle))
               .fd(sealed_memfd("capabilities", bytes).value()));
  EXPECT_EQ(talk.hear(FrameType::kBundleBegin).type, FrameType::kBundleBegin);
  talk.say(FrameBuilder(FrameType::kFileHandle).number(uint32_t{3}).text(bundle).text("file"));
  EXPECT_EQ(talk.hear(FrameType::kFileReady).type, FrameType::kFileReady);
  talk.say(FrameBuilder(FrameType::kPublish).number(uint32_t{4}).text(bundle).text(""));
  const Frame answer = talk.hear(FrameType::kReply);
  ByteReader reply(answer.body);
  EXPECT_EQ(reply.get<uint32_t>(), 4U);
  EXPECT_FALSE(read_error(reply).has_value());
}

TEST_F(ServerTest, a_restore_whose_client_leaves_without_taking_a_file_is_finished) {
  Talk talk;
  publish(talk, "com.example.waits");
  EXPECT_TRUE(talk.leave());
  EXPECT_FALSE(talk.notes_restore_of("com.example.waits")) << "it ended well";
}

TEST_F(ServerTest, an_extension_that_is_done_before_its_files_were_taken_holds_nobody_up) {
  Talk talk;
  publish(talk, "com.example.hurries");
  EXPECT_TRUE(talk.leave());
}

// What the extension of it says; ok where it has an answer.
Result<std::string> answer_of(const std::string& bundle) {
  Talk talk;
  talk.install(bundle);
  talk.say(FrameBuilder(FrameType::kAppCall)
               .number(uint32_t{1})
               .number(static_cast<uint8_t>(AppCall::kCleanTemp))
               .text(bundle)
               .fd(sealed_memfd("argument", {}).value()));
  const Frame answer = talk.hear(FrameType::kReply);
  EXPECT_EQ(answer.type, FrameType::kReply);
  ByteReader reader(answer.body);
  EXPECT_EQ(reader.get<uint32_t>(), 1U);
  if (auto error = read_error(reader)) return failure(std::move(*error));
  return reader.get_text(kMaxText);
}

TEST_F(ServerTest, an_extension_that_is_asked_answers_with_at_most_32_KiB) {
  EXPECT_EQ(answer_of("com.example.text-32768"), std::string(kMaxText, 'x'));
  const auto longer = answer_of("com.example.text-32769");
  ASSERT_FALSE(longer) << "an answer of " << longer->size() << " bytes";
  EXPECT_EQ(longer.error().code, Code::kIpc);
  EXPECT_TRUE(longer.error().message().contains(
      "extension of 'com.example.text-32769' has a text of more than 32768 bytes"))
      << longer.error().message();
}

TEST_F(ServerTest, an_extension_that_is_asked_has_one_line_of_the_log) {
  testing::internal::CaptureStderr();
  EXPECT_TRUE(answer_of("com.example.recovers"));
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(log, '\n'), 1) << log;
}

}  // namespace
}  // namespace backupkit

// The server starts its own program as an extension.
int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--extension") {
    return backupkit::test_extension_main();
  }
  if (argc > 1 && std::string_view(argv[1]) == "--hook") {
    return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? ::pause() : 1;  // until it is killed
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
