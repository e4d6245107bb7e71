#include "native/service/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "native/io/unix_socket.h"
#include "tests/native/census.h"

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

}  // namespace
}  // namespace backupkit
