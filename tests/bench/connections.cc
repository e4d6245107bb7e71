// connections SOCKET BUNDLE CONNECTS OPEN: runs backup sessions of a bundle, first alone, then
// while so many others connect, say half of what they should, and go; so many of them are open at a
// time. Prints the median of a session alone and beside them, the longest, in milliseconds, and how
// much more memory, in MiB, and descriptors the service has at the end.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/stopwatch.h"
#include "tests/native/half_open.h"
#include "tests/native/small_session.h"

namespace backupkit {
namespace {

constexpr int kWarm = 20;
constexpr int kAlone = 200;

size_t descriptors_of(int32_t pid) {
  const std::filesystem::directory_iterator listing("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<size_t>(std::distance(begin(listing), end(listing)));
}

double mebibytes_of(int32_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/statm");
  double all = 0;
  double resident = 0;
  status >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

// Adds how long one took, in milliseconds.
bool run(SmallSession& session, std::vector<double>& times) {
  const Stopwatch watch;
  if (!session.run()) return false;
  times.push_back(watch.seconds() * 1000);
  return true;
}

double median(std::vector<double> times) {
  std::ranges::sort(times);
  return times.empty() ? 0 : times[times.size() / 2];
}

// False: somebody could not connect.
bool connect_all(const std::string& socket, size_t connects, size_t open) {
  std::deque<UniqueFd> others;
  for (size_t i = 0; i < connects; ++i) {
    auto made = half_open(socket, i);
    if (!made) return false;
    others.push_back(std::move(*made));
    if (others.size() > open) others.pop_front();
  }
  return true;
}

bool measure(const std::string& socket, const std::string& bundle, size_t connects, size_t open) {
  auto client = Client::connect(socket);
  if (!client) return false;
  const auto pid = (*client)->service_pid();
  SmallSession session(**client, bundle);
  std::vector<double> alone;
  for (int i = 0; i < kWarm; ++i) {
    if (!run(session, alone)) return false;
  }
  alone.clear();
  for (int i = 0; i < kAlone; ++i) {
    if (!run(session, alone)) return false;
  }
  const auto descriptors = descriptors_of(pid);
  const auto memory = mebibytes_of(pid);
  std::vector<double> beside;
  std::atomic<bool> is_over = false;
  bool all_came = false;
  std::thread others([&] {
    all_came = connect_all(socket, connects, open);
    is_over = true;
  });
  bool good = run(session, beside);
  while (good && !is_over) good = run(session, beside);
  others.join();
  for (int tries = 0; good && descriptors_of(pid) > descriptors && tries < 1000; ++tries) {
    std::vector<double> after;
    good = run(session, after);
  }
  if (!good || !all_came) return false;
  std::printf("%.3f\n%.3f\n%.3f\n%.3f\n%.0f\n", median(alone), median(beside),
              std::ranges::max(beside), mebibytes_of(pid) - memory,
              static_cast<double>(descriptors_of(pid)) - static_cast<double>(descriptors));
  return true;
}

}  // namespace
}  // namespace backupkit

int main(int argc, char** argv) {
  const auto number = [&](int at) { return argc > at ? std::strtoull(argv[at], nullptr, 10) : 0; };
  if (number(3) == 0) {
    std::fputs("usage: connections SOCKET BUNDLE CONNECTS OPEN\n", stderr);
    return 2;
  }
  return backupkit::measure(argv[1], argv[2], number(3), number(4)) ? 0 : 1;
}
