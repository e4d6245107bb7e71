// example BACKUPD ROOT: prints the apps of a device root, as a private service lists them.
#include <backupkit/client.h>
#include <unistd.h>

#include <array>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto fail = [](const auto& failed) {
    std::cerr << failed.error().message() << '\n';
    return 1;
  };
  auto client = backupkit::Client::embed(argv[1], argv[2]);
  if (!client) return fail(client);
  const auto asked = (*client)->capabilities(1, false, {});
  if (!asked) return fail(asked);
  const auto reply = (*client)->await();
  if (!reply) return fail(reply);
  if (!*reply || (*reply)->fds.empty()) return 1;  // it is an error, or the service has gone

  const int list = (*reply)->fds[0].get();
  std::array<char, 4096> text{};
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(list, text.data(), text.size(), at);
    if (got <= 0) return got == 0 ? 0 : 1;
    std::cout.write(text.data(), got);
    at += got;
  }
}
