// backupd: the service, and with --extension the process that serves one bundle.

#include "native/extension/main.h"

#include <string_view>

#include "native/service/daemon.h"

int main(int argc, char** argv) {
  const bool is_extension = argc > 1 && std::string_view(argv[1]) == "--extension";
  return is_extension ? backupkit::extension_main(argc, argv) : backupkit::daemon_main(argc, argv);
}
