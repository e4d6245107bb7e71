#pragma once

namespace backupkit {

// The main of backupd as the service:
//   backupd [--root DIR] [--socket PATH]      listens on PATH, or on
//                                             DIR/run/backupkit/service.sock
//   backupd [--root DIR] [--idle MILLISECONDS]
//                                             where its supervisor passes a socket (LISTEN_FDS):
//                                             listens on that, and ends when nobody has been
//                                             connected for so long, 30 s where it is not said
//   backupd --embedded --root DIR             serves the one client on descriptor 3, ends with it
// and with each `--log-level error|warning|info|debug`, what is logged at the least, else warnings.
// Gives the exit status: 0 after SIGTERM or when nobody is left to serve, 1 after a failure, 2 for
// wrong use.
int daemon_main(int argc, char** argv);

}  // namespace backupkit
