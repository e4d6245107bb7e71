// drive backup|restore|resume[-given] BACKUPD ROOT FILES...: backs up the bundle "app" of a device
// root into a folder, or restores it from there, as a program of the interface does; resume goes on
// with what an interrupted one has left. Files are written, and each is published, manage.json
// first; or the parts are given as they are, and nothing is published but all. With more folders
// again for each of them, through the same service. Prints the code that the bundle ends with, and
// leaves its reports and the number of bytes that were copied in FILES.report, and the manifest
// that the files come with, and are written with, in FILES.manifest. Exit code 0: it ended well, 1:
// with an error, 3: the service has gone, 4: it ended well the last time, but not before.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "backupkit/bundle_list.h"
#include "backupkit/client.h"
#include "backupkit/event.h"
#include "native/io/copy.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBundle = "app";
constexpr const char* kCapabilities = "capabilities.json";
constexpr int kIll = 1;
constexpr int kGone = 3;
constexpr int kEarlierIll = 4;

// One session.
class Drive {
 public:
  Drive(Client& client, uint32_t& request, fs::path files, std::string_view what)
      : client_(client),
        request_(request),
        files_(std::move(files)),
        restores_(what != "backup"),
        resumes_(what.starts_with("resume")),
        gives_(what.ends_with("-given")),
        report_(files_.string() + ".report") {}

  int run() {
    const bool is_first = request_ == 0;
    if (!is_first && !(client_.release(++request_) && await_reply())) return kGone;
    if (!restores_ && !save_capabilities()) return kGone;
    if (!begin()) return kGone;
    while (!end_) {
      if (!receive()) return kGone;
    }
    report_ << copied_ << " bytes copied\n";
    std::printf("%d %s\n", end_->first, end_->second.c_str());
    return end_->first == 0 ? 0 : kIll;
  }

 private:
  bool save_capabilities() {
    if (!client_.capabilities(++request_, true, {})) return false;
    while (!capabilities_.is_open()) {
      if (!receive()) return false;
    }
    return copy(capabilities_.borrow(), files_ / kCapabilities);
  }

  bool begin() {
    if (!client_.open_session(++request_, restores_ ? 1 : 2) || !await_reply()) return false;
    std::vector<BundleRequest> list(1);
    list[0].name = kBundle;
    if (resumes_) list[0].options = R"({"resume": true})";
    UniqueFd file;
    if (restores_) {
      file.reset(::open((files_ / kCapabilities).c_str(), O_RDONLY | O_CLOEXEC));
      if (!list_files()) return false;
    }
    if (!client_.append(++request_, false, encode_list(list), file.borrow(), {})) return false;
    if (!await_reply() || !restores_) return !gone_;
    while (!begun_ && !end_) {
      if (!receive()) return false;
    }
    for (const auto& name : names_) {
      if (gives_ && name.ends_with(".tar")) {
        if (!give(name)) return false;
      } else if (!client_.file_handle(++request_, kBundle, name))
        return false;
    }
    return true;
  }

  bool give(const std::string& name) {
    const UniqueFd file(::open((files_ / name).c_str(), O_RDONLY | O_CLOEXEC));
    ++handled_;
    return client_.publish(++request_, kBundle, name, file.borrow()).has_value();
  }

  bool list_files() {
    std::error_code error;
    for (fs::directory_iterator at(files_, error), end; !error && at != end; at.increment(error)) {
      if (at->path().filename() != kCapabilities) names_.push_back(at->path().filename());
    }
    std::ranges::sort(names_);  // manage.json is before any part
    return !error;
  }

  bool await_reply() {
    while (replied_ < request_) {
      if (!receive()) return false;
    }
    return true;
  }

  bool receive() {
    auto batch = client_.await();
    gone_ = !batch || !*batch;
    if (gone_) return false;
    auto events = read_events(std::move(**batch));
    if (!events) return false;
    for (auto& event : *events) {
      if (!take(event)) return false;
    }
    return true;
  }

  bool take(Event& event) {
    switch (event.kind) {
      case EventKind::kReply:
        replied_ = event.request;
        // That one file could not be looked at early ends nothing.
        if (event.error && !named_.contains(replied_)) end_with(event.error);
        if (!event.fds.empty()) capabilities_ = std::move(event.fds[0]);
        return true;
      case EventKind::kBundleBegin:
      case EventKind::kBundleEnd:
        begun_ = true;
        if (event.error || event.kind == EventKind::kBundleEnd) end_with(event.error);
        return true;
      case EventKind::kResultReport:
        report_ << event.text << '\n';
        return true;
      case EventKind::kFileReady:
        return take_file(event);
      default:
        return true;
    }
  }

  void end_with(const std::optional<Error>& error) {
    end_.emplace(error ? static_cast<int>(error->code) : 0, error ? error->message() : "");
  }

  bool take_file(Event& file) {
    const auto path = files_ / file.uri;
    const bool is_there = !file.fds.empty();
    if (is_there && restores_) {
      const UniqueFd from(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      auto copied = complete(from.borrow(), file.fds[0].borrow(), copier_);
      if (!copied) return false;
      copied_ += *copied;
    } else if (is_there && !copy(file.fds[0].borrow(), path)) {
      return false;
    }
    if (path.filename() == "manage.json" && file.fds.size() > 1 && !take_manifest(file.fds[1])) {
      return false;
    }
    file.fds.clear();
    if (!client_.settle(std::array{Settled{file.sequence, 0}, Settled{file.sequence, 1}}))
      return false;
    if (!restores_) return true;
    const auto name = path.filename().string();
    if (is_there && !gives_) {
      named_.insert(++request_);
      if (!client_.publish(request_, kBundle, name, {})) return false;
    }
    if (++handled_ < names_.size()) return true;
    return client_.publish(++request_, kBundle, "", {}).has_value();
  }

  // The complete one, without which nothing is unpacked before all is there.
  bool take_manifest(const UniqueFd& descriptor) {
    const fs::path kept = files_.string() + ".manifest";
    if (!restores_) return copy(descriptor.borrow(), kept);
    if (gives_) return true;
    const UniqueFd file(::open(kept.c_str(), O_RDONLY | O_CLOEXEC));
    return file.is_open() && copier_.copy(file.borrow(), descriptor.borrow()).has_value();
  }

  bool copy(BorrowedFd from, const fs::path& to) {
    const UniqueFd file(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return file.is_open() && copier_.copy(from, file.borrow()).has_value();
  }

  Client& client_;
  uint32_t& request_;
  fs::path files_;
  bool restores_;
  bool resumes_;
  bool gives_;
  bool begun_ = false;
  std::ofstream report_;
  uint64_t copied_ = 0;
  Copier copier_;
  uint32_t replied_ = 0;
  bool gone_ = false;
  std::vector<std::string> names_;
  size_t handled_ = 0;
  std::set<uint32_t> named_;  // requests to publish one file
  UniqueFd capabilities_;
  std::optional<std::pair<int, std::string>> end_;
};

}  // namespace
}  // namespace backupkit

// What the tracer puts into the environment cannot always be read.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "detect_leaks=0:exitcode=99";
}

int main(int argc, char** argv) {
  constexpr int kFirstFolder = 4;
  if (argc <= kFirstFolder) return 2;
  auto client = backupkit::Client::embed(argv[2], argv[3]);
  if (!client) {
    std::printf("%d %s\n", static_cast<int>(client.error().code), client.error().message().c_str());
    return backupkit::kGone;
  }
  uint32_t request = 0;
  int code = 0;
  for (int at = kFirstFolder; at < argc; ++at) {
    const int before = code;
    code = backupkit::Drive(**client, request, argv[at], argv[1]).run();
    if (code == backupkit::kGone) return code;
    if (code == 0 && before != 0) code = backupkit::kEarlierIll;
  }
  return code;
}
