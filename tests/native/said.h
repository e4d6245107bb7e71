// That work says what a failed system call hides from it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <iostream>

#include "tests/native/points.h"
#include "tests/native/tracer.h"

namespace backupkit {

// Exit statuses of the work: it saw all; it did not, and said so; it did not say so.
constexpr int kSeen = 0;
constexpr int kSaid = 1;
constexpr int kSilent = 2;

// Has one call after another fail, at about `by_default` points of all; never may the work be
// silent.
inline void expect_said(const std::function<int()>& work, size_t by_default) {
  const auto whole = run_traced(work, kNoCall, failing(EIO));
  ASSERT_EQ(whole.status, kSeen);
  size_t said = 0;
  const auto chosen = points(whole.calls, by_default);
  for (const auto at : chosen) {
    const auto broken = run_traced(work, at, failing(EIO));
    ASSERT_TRUE(broken.fired && WIFEXITED(broken.status));
    const int became = WEXITSTATUS(broken.status);
    EXPECT_NE(became, kSilent) << "call " << at << ", number " << broken.last_call;
    said += became == kSaid ? 1 : 0;
  }
  EXPECT_GT(said, 0U);
  std::cout << chosen.size() << " of " << whole.calls << " points, " << said << " times said\n";
}

}  // namespace backupkit
