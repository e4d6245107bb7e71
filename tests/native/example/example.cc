// example BACKUPD ROOT: prints the apps of a device root, as a private service lists them.
#include <backupkit/client.h>
#include <backupkit/event.h>

#include <fstream>
#include <iostream>
#include <string>
#include <utility>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto fail = [](const backupkit::Error& error) {
    std::cerr << error.message() << '\n';
    return 1;
  };
  auto client = backupkit::Client::embed(argv[1], argv[2]);
  if (!client) return fail(client.error());
  const auto asked = (*client)->capabilities(1, false, {});
  if (!asked) return fail(asked.error());
  for (;;) {
    auto batch = (*client)->await();
    if (!batch) return fail(batch.error());
    if (!*batch) return 1;  // the service has gone
    const auto events = backupkit::read_events(std::move(**batch));
    if (!events) return fail(events.error());
    for (const auto& event : *events) {
      if (event.error) return fail(*event.error);
      const int list = event.fds.at(0).get();
      std::cout << std::ifstream("/proc/self/fd/" + std::to_string(list)).rdbuf();
      return 0;
    }
  }
}
