#pragma once

namespace backupkit {

// The main of backupd as the service:
//   backupd [--root DIR] [--socket PATH]   listens on PATH, by default
//   DIR/run/backupkit/service.sock,
//                                          or on the socket its supervisor passes (LISTEN_FDS)
//   backupd --embedded --root DIR          serves the one client on descriptor 3 and ends with it
// Gives the exit status: 0 after SIGTERM or when nobody is left to serve, 1 after a failure, 2 for
// wrong use.
int daemon_main(int argc, char** argv);

}  // namespace backupkit
