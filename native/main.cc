// backupd: the service, and with its first argument the processes that it starts, or
// what it is asked about its rules.

#include "native/extension/main.h"

#include <string_view>

#include "native/service/daemon.h"
#include "native/service/explain.h"
#include "native/service/freezer.h"
#include "native/service/hook_program.h"
#include "native/service/recovery.h"
#include "native/service/survey.h"

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "--extension") return backupkit::extension_main();
  if (role == "--hook") return backupkit::hook_main(argc, argv);
  if (role == "--recover") return backupkit::recover_main(argc, argv);
  if (role == "--survey") return backupkit::survey_main();
  if (role == "--freeze") return backupkit::freeze_main(argc, argv);
  if (role == "--explain") return backupkit::explain_main(argc, argv);
  return backupkit::daemon_main(argc, argv);
}
