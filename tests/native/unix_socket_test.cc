#include "native/io/unix_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/native/census.h"
#include "tests/native/descriptor_limit.h"

namespace backupkit {
namespace {

using UnixSocket = Census;

ino_t inode_of(int number) {
  struct stat status{};
  EXPECT_EQ(::fstat(number, &status), 0);
  return status.st_ino;
}

class Descriptors : public Census, public ::testing::WithParamInterface<size_t> {};

TEST_P(Descriptors, arrive_in_order_as_the_same_files) {
  const ScratchDirectory scratch;
  const auto ends = seqpacket_pair().value();
  std::vector<UniqueFd> sent;
  std::vector<BorrowedFd> borrowed;
  for (size_t i = 0; i < GetParam(); ++i) {
    sent.emplace_back(
        ::open((scratch / std::to_string(i)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    borrowed.push_back(sent.back().borrow());
  }
  const Bytes bytes{1, 2, 3};
  ASSERT_EQ(send_message(ends.first.borrow(), bytes, borrowed).value(), Sent::kAll);
  Incoming incoming;
  ASSERT_EQ(receive_message(ends.second.borrow(), incoming).value(), Receipt::kMessage);
  EXPECT_EQ(incoming.bytes, bytes);
  EXPECT_FALSE(incoming.truncated);
  ASSERT_EQ(incoming.fds.size(), GetParam());
  for (size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(inode_of(incoming.fds[i].get()), inode_of(sent[i].get()));
    EXPECT_TRUE(is_close_on_exec(incoming.fds[i].borrow()));
  }
}
INSTANTIATE_TEST_SUITE_P(UnixSocket, Descriptors, ::testing::Values(0, 1, 2, kMaxFds));

TEST_F(UnixSocket, send_refuses_one_descriptor_too_many_and_an_empty_message) {
  const auto ends = seqpacket_pair().value();
  const std::vector<BorrowedFd> many(kMaxFds + 1, BorrowedFd(0));
  const Bytes bytes{1};
  EXPECT_EQ(send_message(ends.first.borrow(), bytes, many).error().code, Code::kInvalidArgument);
  EXPECT_EQ(send_message(ends.first.borrow(), {}, {}).error().code, Code::kInvalidArgument);
}

TEST_F(UnixSocket, message_of_the_longest_size_arrives_whole) {
  const auto ends = seqpacket_pair().value();
  const Bytes bytes(kMaxMessage, 7);
  ASSERT_EQ(send_message(ends.first.borrow(), bytes, {}).value(), Sent::kAll);
  Incoming incoming;
  ASSERT_EQ(receive_message(ends.second.borrow(), incoming).value(), Receipt::kMessage);
  EXPECT_EQ(incoming.bytes, bytes);
}

TEST_F(UnixSocket, longer_message_is_an_error_and_its_descriptors_are_closed) {
  const auto ends = seqpacket_pair().value();
  const std::vector<BorrowedFd> fds(3, BorrowedFd(0));
  ASSERT_EQ(send_message(ends.first.borrow(), Bytes(kMaxMessage + 1, 7), fds).value(), Sent::kAll);
  Incoming incoming;
  incoming.bytes = {9};
  const auto before = open_descriptors();
  EXPECT_EQ(receive_message(ends.second.borrow(), incoming).error().code, Code::kIpc);
  EXPECT_EQ(incoming.bytes, Bytes{9});
  EXPECT_EQ(before, open_descriptors());
}

TEST_F(UnixSocket, truncated_descriptors_are_said_and_all_closed) {
  const auto ends = seqpacket_pair().value();
  const std::vector<BorrowedFd> fds(10, BorrowedFd(0));
  ASSERT_EQ(send_message(ends.first.borrow(), Bytes{5}, fds).value(), Sent::kAll);
  const auto before = open_descriptors();
  Incoming incoming;
  Result<Receipt> receipt = Receipt::kEnd;
  {
    const DescriptorLimit limit(3);
    receipt = receive_message(ends.second.borrow(), incoming);
  }
  EXPECT_EQ(receipt.value(), Receipt::kMessage);
  EXPECT_TRUE(incoming.truncated);
  EXPECT_TRUE(incoming.fds.empty());
  EXPECT_EQ(incoming.bytes, Bytes{5});
  EXPECT_EQ(before, open_descriptors());
}

TEST_F(UnixSocket, foreign_control_data_is_ignored) {
  const auto ends = seqpacket_pair().value();
  const int on = 1;
  ASSERT_EQ(::setsockopt(ends.second.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
  const std::vector<BorrowedFd> fds(kMaxFds, BorrowedFd(0));
  ASSERT_EQ(send_message(ends.first.borrow(), Bytes{5}, fds).value(), Sent::kAll);
  Incoming incoming;
  ASSERT_EQ(receive_message(ends.second.borrow(), incoming).value(), Receipt::kMessage);
  EXPECT_FALSE(incoming.truncated);
  EXPECT_EQ(incoming.fds.size(), kMaxFds);
}

TEST_F(UnixSocket, full_and_empty_sockets_would_block) {
  const auto ends = seqpacket_pair().value();
  ASSERT_TRUE(set_nonblocking(ends.first.borrow(), true));
  ASSERT_TRUE(set_nonblocking(ends.second.borrow(), true));
  Incoming incoming;
  EXPECT_EQ(receive_message(ends.second.borrow(), incoming).value(), Receipt::kWouldBlock);
  size_t sent = 0;
  while (send_message(ends.first.borrow(), Bytes(1000, 1), {}).value() == Sent::kAll) ++sent;
  EXPECT_GT(sent, 0U);
  size_t received = 0;
  while (receive_message(ends.second.borrow(), incoming).value() == Receipt::kMessage) ++received;
  EXPECT_EQ(sent, received);
  ASSERT_TRUE(set_nonblocking(ends.first.borrow(), false));
  EXPECT_EQ(::fcntl(ends.first.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(UnixSocket, gone_peer_is_the_end_and_closed) {
  auto ends = seqpacket_pair().value();
  ASSERT_EQ(send_message(ends.second.borrow(), Bytes{1}, {}).value(), Sent::kAll);
  ASSERT_EQ(send_message(ends.first.borrow(), Bytes{1}, {}).value(),
            Sent::kAll);  // unread: a reset
  ends.second.reset();
  EXPECT_EQ(send_message(ends.first.borrow(), Bytes{1}, {}).error().code, Code::kClosed);
  Incoming incoming;
  Receipt last = Receipt::kMessage;
  while (last == Receipt::kMessage) {
    last = receive_message(ends.first.borrow(), incoming).value();
  }
  EXPECT_EQ(last, Receipt::kEnd);
}

TEST_F(UnixSocket, what_a_peer_sent_arrives_though_it_left_our_messages_unread) {
  auto ends = seqpacket_pair().value();
  ASSERT_EQ(send_message(ends.first.borrow(), Bytes{9}, {}).value(), Sent::kAll);
  ASSERT_EQ(send_message(ends.second.borrow(), Bytes{1}, {}).value(), Sent::kAll);
  ASSERT_EQ(send_message(ends.second.borrow(), Bytes{2}, {}).value(), Sent::kAll);
  ends.second.reset();
  Incoming incoming;
  ASSERT_EQ(receive_message(ends.first.borrow(), incoming).value(), Receipt::kMessage);
  EXPECT_EQ(incoming.bytes, Bytes{1});
  ASSERT_EQ(receive_message(ends.first.borrow(), incoming).value(), Receipt::kMessage);
  EXPECT_EQ(incoming.bytes, Bytes{2});
  EXPECT_EQ(receive_message(ends.first.borrow(), incoming).value(), Receipt::kEnd);
}

TEST_F(UnixSocket, listener_accepts_and_knows_who_connected) {
  const ScratchDirectory scratch;
  const auto path = scratch / "socket";
  const auto listener = listen_seqpacket(path, 0622).value();
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0622U);
  EXPECT_FALSE(accept_seqpacket(listener.borrow()).value().is_open());
  const auto client = connect_seqpacket(path).value();
  const auto server = accept_seqpacket(listener.borrow()).value();
  ASSERT_TRUE(server.is_open());
  EXPECT_EQ(::fcntl(client.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(server.get(), F_GETFL) & O_NONBLOCK, 0);
  const auto peer = peer_credentials(server.borrow()).value();
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(peer.uid, ::getuid());
  EXPECT_EQ(peer.gid, ::getgid());
}

TEST_F(UnixSocket, every_opener_sets_close_on_exec) {
  const ScratchDirectory scratch;
  const auto path = scratch / "socket";
  const auto listener = listen_seqpacket(path, 0600).value();
  const auto client = connect_seqpacket(path).value();
  const auto server = accept_seqpacket(listener.borrow()).value();
  const auto ends = seqpacket_pair().value();
  for (const auto* fd : {&listener, &client, &server, &ends.first, &ends.second}) {
    EXPECT_TRUE(is_close_on_exec(fd->borrow()));
  }
}

TEST_F(UnixSocket, listen_replaces_a_dead_socket_but_no_living_one) {
  const ScratchDirectory scratch;
  const auto path = scratch / "socket";
  auto first = listen_seqpacket(path, 0600).value();
  EXPECT_EQ(listen_seqpacket(path, 0600).error().sys_errno, EADDRINUSE);
  first.reset();
  const auto second = listen_seqpacket(path, 0600);
  ASSERT_TRUE(second);
  EXPECT_TRUE(connect_seqpacket(path));
}

TEST_F(UnixSocket, listen_leaves_a_file_and_a_link_alone) {
  const ScratchDirectory scratch;
  const auto path = scratch / "file";
  std::ofstream(path) << "kept";
  EXPECT_EQ(listen_seqpacket(path, 0600).error().sys_errno, EADDRINUSE);
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
  std::filesystem::create_symlink("nowhere", scratch / "link");
  EXPECT_EQ(listen_seqpacket(scratch / "link", 0600).error().sys_errno, EADDRINUSE);
}

TEST_F(UnixSocket, path_longer_than_an_address_works) {
  const ScratchDirectory scratch;
  const auto deep = scratch / std::string(200, 'd');
  std::filesystem::create_directory(deep);
  auto listener = listen_seqpacket(deep + "/socket", 0600).value();
  EXPECT_TRUE(connect_seqpacket(deep + "/socket"));
  listener.reset();
  EXPECT_EQ(connect_seqpacket(deep + "/socket").error().sys_errno, ECONNREFUSED);
  EXPECT_TRUE(listen_seqpacket(deep + "/socket", 0600));
  EXPECT_EQ(connect_seqpacket(deep + "/absent").error().sys_errno, ENOENT);
}

}  // namespace
}  // namespace backupkit
