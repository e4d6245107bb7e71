// A process that has few descriptors left.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backupkit/unique_fd.h"

namespace backupkit {

// Lowers the descriptor limit so that `room` more can be opened, until its end.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t room) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &kept_), 0);
    const UniqueFd lowest(::dup(0));
    rlimit low = kept_;
    low.rlim_cur = static_cast<rlim_t>(lowest.get()) + room;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  }
  ~DescriptorLimit() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &kept_), 0); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit kept_{};
};

}  // namespace backupkit
