// Reads small files on other threads, while the backup is still at the entries before them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "backupkit/error.h"
#include "backupkit/unique_fd.h"
#include "native/base/shared_bytes.h"
#include "native/extension/file_reader.h"
#include "native/extension/settings.h"
#include "native/manifest/scan.h"

namespace backupkit {

// Stands between the walk and the backup, on other threads: hands the entries on in the order in
// which they came, some hundreds behind, with those files that were read meanwhile; these have
// their attributes, and no holes. What could not
// be read so, changed, has holes or other names, or is too large is handed on as it came, for the
// backup to deal with. A walk of few entries never starts a thread. Called by one thread; the
// handlers are called one at a time, by that one or another.
class ReadAhead {
 public:
  struct Handlers {
    // `read` is null where the file was not read.
    std::function<Result<void>(const ScanEntry& found, ReadFile* read)> visit;
    std::function<Result<void>(const Missed&)> miss;
    // Before the other thread waits, if it is there: nothing may come for a while.
    std::function<Result<void>()> idle;
  };

  struct Options {
    uint64_t limit = 0;  // files of more bytes are not read
    Labels labels{};
    bool hashes = false;  // what was read
    bool reads = false;   // files
    size_t threads = 0;   // that read, beside the one that hands on; 0: neither is there
  };

  ReadAhead(const Options& options, Handlers handlers);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // As many threads as help the one that calls.
  [[nodiscard]] static size_t usual_threads();

  // From the walk. Error: of a handler, for this entry or an earlier one.
  [[nodiscard]] Result<void> visit(const ScanEntry& found);
  [[nodiscard]] Result<void> miss(const Missed& missed);
  // Hands on what is left. Nothing may come afterwards.
  [[nodiscard]] Result<void> finish();

 private:
  enum class State : uint8_t { kSkipped, kWaiting, kTaken, kDone };

  // A directory whose entries are waiting; the walk closes its own.
  struct Directory {
    std::string path;
    UniqueFd fd;
    uint64_t number = 0;
  };

  struct Item {
    std::variant<ScanEntry, Missed> entry;
    std::shared_ptr<Directory> directory{};
    uint64_t number = 0;  // of the directory that the walk was in
    Timestamp looked{};   // when the walk looked at it
    State state = State::kSkipped;
    std::optional<ReadFile> read{};
  };

  // What one thread reads.
  struct Reader {
    std::vector<Item*> taken;
    FileReader files;
  };

  [[nodiscard]] static bool is_ready(const Item& item) {
    return item.state == State::kSkipped || item.state == State::kDone;
  }

  [[nodiscard]] Result<bool> hold_directory(const ScanEntry& found);
  [[nodiscard]] bool may_read(const ScanEntry& found) const;
  [[nodiscard]] Result<void> push(Item item);
  [[nodiscard]] Result<void> flush();
  [[nodiscard]] bool has_room(size_t part) const;
  [[nodiscard]] Result<void> await_empty();
  void await_filled(std::unique_lock<std::mutex>& held);
  void await_first(std::unique_lock<std::mutex>& held);
  void take_batch(std::vector<Item>& batch);
  [[nodiscard]] Result<void> hand_on(Item& item) const;
  void start_threads();
  void hand_on_all();
  void work();
  [[nodiscard]] bool take_waiting(Reader& reader);
  void read_taken(Reader& reader);
  [[nodiscard]] FileReader reader_of_files() {
    return FileReader(pool_, options_.labels, options_.hashes);
  }

  Options options_;
  Handlers handlers_;
  std::shared_ptr<Directory> directory_;
  std::vector<Item> staged_;  // by the walk, and not in the window yet
  uint64_t pushed_ = 0;

  std::mutex mutex_;
  std::condition_variable filled_;   // for the one who hands on
  std::condition_variable emptied_;  // for the walk
  std::condition_variable waiting_;  // for those who read
  std::deque<Item> window_;          // references to its items stay valid while others come and go
  size_t next_ = 0;                  // of the window, the first that may be waiting
  uint64_t bytes_ = 0;               // of the files that are to be read and not handed on
  uint64_t newest_ = 0;              // directory in the window
  bool is_handing_ = false;          // some that are not in the window any more
  bool is_idle_ = true;              // nothing was handed on since `idle` was called
  bool is_stuck_ = false;            // the walk, until there is room or nothing left
  bool is_ended_ = false;
  std::optional<Error> error_;
  BlockPool pool_;
  Reader reader_;        // of the one who hands on
  std::thread handing_;  // not there: the calling thread does it
  std::vector<std::thread> threads_;
};

}  // namespace backupkit
