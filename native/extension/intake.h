// The files of a restore on their way in.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "native/base/hash.h"
#include "native/extension/link.h"
#include "native/extension/selection.h"
#include "native/io/tmpfile.h"
#include "native/manifest/index.h"

namespace backupkit {

inline constexpr const char* kIndexName = "manage.json";

// Hands out a file on the sandbox's file system for each one that the client asks for, takes those
// of its own that it gives as they are, and once all are published looks whether they are what
// manage.json says. Where manage.json and the complete manifest beside it are published first, a
// part is looked at, and unpacked, as soon as it is published. A file is unnamed, or it has its
// name in the directory `received`, if that is open, and then what an interrupted restore has
// received of it, but manage.json, which is always empty. Not thread-safe.
class Intake {
 public:
  Intake(BorrowedFd sandbox, BorrowedFd received, Link& link)
      : sandbox_(sandbox), received_(received), link_(link) {}

  using Unpack = std::function<Result<void>(const IndexItem& part)>;

  // Serves Handle and PublishFile until everything is published and has been checked; `unpack`
  // takes a part before that, and checks its hash as it goes. Error: the message names the file;
  // kClosed: the service has gone; or that of `unpack`.
  [[nodiscard]] Result<void> receive(const Unpack& unpack);

  // All of these after receive(), or while it calls `unpack`.
  [[nodiscard]] const std::vector<IndexItem>& index() const { return index_; }
  [[nodiscard]] Selection& selection() { return selection_; }
  // The file `uri` of the index, read-only.
  [[nodiscard]] BorrowedFd content_of(const std::string& uri) const;
  // Whether that is a file of the client's own; else it is ours, and nobody can write it any more.
  [[nodiscard]] bool is_foreign(const std::string& uri) const { return files_.at(uri).is_foreign; }
  // Whether the part was unpacked as it came.
  [[nodiscard]] bool is_unpacked(const std::string& uri) const {
    return files_.at(uri).is_unpacked;
  }
  // Whether its bytes are those that the index speaks of. Error kUnpackFailed: they are not.
  [[nodiscard]] Result<void> check_item(const IndexItem& item);
  // The same, by the hash that it has.
  [[nodiscard]] static Result<void> check_hash(const IndexItem& item, const std::string& hash);
  // The complete manifest; empty where the client gave none.
  [[nodiscard]] BorrowedFd manifest() const { return files_.at(kIndexName).manifest.borrow(); }
  // A hash of `settings` and of all that was received: it is the same for the same backup with the
  // same rows to be taken.
  [[nodiscard]] Result<std::string> identity(std::string_view settings);
  // Gives back the space of a file that is not needed any more.
  [[nodiscard]] Result<void> drop(const std::string& uri);

 private:
  struct File {
    UniqueFd content;   // read-only
    UniqueFd manifest;  // what the client wrote beside it; not open: nothing
    bool is_foreign = false;
    bool is_published = false;
    bool is_unpacked = false;
  };

  [[nodiscard]] Result<void> receive_all(const Unpack& unpack);
  [[nodiscard]] Result<void> notice_growth();
  [[nodiscard]] Result<void> give_handle(const std::string& uri);
  [[nodiscard]] Result<UniqueFd> make_file(const std::string& uri);
  [[nodiscard]] Result<UniqueFd> named_file(const std::string& uri);
  [[nodiscard]] Result<void> drop_strangers();
  [[nodiscard]] Result<void> check_room() const;
  [[nodiscard]] Result<void> make_handle(const std::string& uri);
  [[nodiscard]] Result<bool> publish(uint32_t request, const std::string& uri, Frame& frame);
  [[nodiscard]] Result<void> take(const std::string& uri, Frame& frame);
  [[nodiscard]] Result<void> check_published(const std::string& uri,
                                             std::chrono::steady_clock::time_point until);
  [[nodiscard]] Result<Writers> await_writers(BorrowedFd file,
                                              std::chrono::steady_clock::time_point until);
  [[nodiscard]] Result<void> go_ahead(const std::string& uri, const Unpack& unpack);
  [[nodiscard]] Result<void> unpack_now(const std::string& uri, const Unpack& unpack);
  [[nodiscard]] Result<void> read_items();
  [[nodiscard]] Result<void> check_all();
  [[nodiscard]] Result<void> check_size(const IndexItem& item);
  [[nodiscard]] Result<std::string> hash_of(BorrowedFd file, uint64_t size,
                                            const std::string& name);
  [[nodiscard]] Result<void> select();

  BorrowedFd sandbox_;
  BorrowedFd received_;
  Link& link_;
  std::map<std::string, File> files_;  // by uri
  Selection selection_;
  std::vector<IndexItem> index_;
  bool goes_ahead_ = false;                             // parts are unpacked as they come
  std::map<std::string_view, const IndexItem*> ahead_;  // then: the index, by uri
  Hasher hasher_;
  uint64_t bytes_received_ = 0;
};

}  // namespace backupkit
