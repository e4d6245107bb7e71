// What happens whenever the code under test is about to wait for a message. Its fuzzer is linked
// with --wrap=recvmsg: so the other end of a conversation needs no thread.
#pragma once

#include <functional>

namespace backupkit {

// Called with the socket. None: nothing happens.
extern std::function<void(int socket)> before_recvmsg;

// How many more descriptors a message may bring; -1: as many as it has.
extern int room_for_descriptors;

}  // namespace backupkit
