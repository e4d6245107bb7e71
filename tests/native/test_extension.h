// What the program of a test is when a server under test starts it as an extension.
#pragma once

namespace backupkit {

// Behaves as its bundle's name says; its exit code.
int test_extension_main();

}  // namespace backupkit
