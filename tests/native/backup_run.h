// A backup of one directory as the extension does it, with the test in the service's place.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "native/archive/tar_reader.h"
#include "native/base/hash.h"
#include "native/extension/backup.h"
#include "native/io/unix_socket.h"
#include "native/manifest/index.h"
#include "tests/native/manifest_files.h"

namespace backupkit {

constexpr uid_t kNobody = 65534;

struct BackupPlan {
  std::string sandbox;
  nlohmann::json settings = {{"includes", {"*"}}};
  std::optional<std::string> old_manifest;          // present: an incremental one; "": the first
  bool as_nobody = false;                           // the extension's files are those of nobody
  std::function<void(const std::string&)> arrived;  // a file's uri, before its content is read
  std::function<void(const std::string&)> read;     // and after that, before it is settled
  bool closes = true;  // says that it closed a file; else only that it took it
  LinkTime time = {};  // the extension's
};

struct BackupOutcome {
  std::vector<std::string> uris;             // as they came
  std::vector<std::string> phases;           // as they were told, and told again
  std::map<std::string, std::string> files;  // what came last under each
  std::map<std::string, std::string> rows;   // the manifests beside them
  nlohmann::json count;
  nlohmann::json totals;
  std::optional<Error> error;

  [[nodiscard]] std::vector<IndexItem> index() const {
    return read_index(files.at("manage.json")).value();
  }

  // What a restore makes of it: each file's content by its path. Every hash is that of the index.
  [[nodiscard]] std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> found;
    for (const auto& item : index()) {
      const auto& content = files.at(item.file_name);
      Hasher hasher;
      hasher.update({reinterpret_cast<const uint8_t*>(content.data()), content.size()});
      EXPECT_EQ(hasher.finish(), item.hash) << item.path;
      EXPECT_EQ(content.size(), item.size) << item.path;
      if (!item.is_big_file) read_part(content, found);
      if (item.is_big_file) found[item.path] = content;
      for (const auto& link : item.links) found[link] = content;
    }
    return found;
  }

  // A number of the report's totals.
  [[nodiscard]] uint64_t total(const char* name) const { return totals.at(name).get<uint64_t>(); }

 private:
  static void read_part(const std::string& part, std::map<std::string, std::string>& found) {
    const UniqueFd file = file_of(part);
    TarReader reader(file.borrow(), part.size());
    for (;;) {
      auto entry = reader.next();
      ASSERT_TRUE(entry) << entry.error().message();
      if (!*entry) return;
      if ((*entry)->type == EntryType::kHardLink)
        found[(*entry)->path] = found[(*entry)->link_target];
      if ((*entry)->type != EntryType::kFile) continue;
      EXPECT_FALSE(found.contains((*entry)->path)) << (*entry)->path << " is there twice";
      const UniqueFd content = memory_file();
      ASSERT_TRUE(reader.copy_content(content.borrow()));
      found[(*entry)->path] = text_of(content.borrow());
    }
  }
};

class BackupRun {
 public:
  static BackupOutcome of(const BackupPlan& plan) {
    BackupRun run(plan);
    return std::move(run.outcome_);
  }

 private:
  explicit BackupRun(const BackupPlan& plan)
      : plan_(plan), pair_(seqpacket_pair().value()), service_(std::move(pair_.first)) {
    std::thread extension([this] { work(std::move(pair_.second)); });
    while (!done_) receive();
    extension.join();
  }

  // The extension's thread.
  void work(UniqueFd socket) {
    if (plan_.as_nobody) {  // of this thread alone
      (void)::setfsgid(kNobody);
      (void)::setfsuid(kNobody);
    }
    Link link(std::move(socket), plan_.time);
    link.limit_window(1);  // one file is settled before the next is sent
    auto settings = Settings::read(file_of(plan_.settings.dump()).borrow()).value();
    settings.is_incremental = plan_.old_manifest.has_value();
    UniqueFd manifest;
    if (!plan_.old_manifest.value_or("").empty()) manifest = file_of(*plan_.old_manifest);
    const UniqueFd sandbox(::open(plan_.sandbox.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto hook = Hook::greet(UniqueFd(), link).value();
    const auto done = back_up(sandbox.borrow(), settings, std::move(manifest), hook, link);
    std::optional<Error> error;
    if (!done) error = done.error();
    EXPECT_TRUE(link.done(error));
  }

  void receive() {
    auto arrival = service_.receive();
    ASSERT_TRUE(arrival) << arrival.error().message();
    if (arrival->receipt != Receipt::kMessage) done_ = true;
    for (auto& frame : arrival->frames) take(frame);
  }

  void take(Frame& frame) {
    ByteReader reader(frame.body);
    if (frame.type == FrameType::kDone) {
      outcome_.error = read_error(reader);
      done_ = true;
    } else if (frame.type == FrameType::kReport) {
      const auto report = nlohmann::json::parse(reader.get_text(kMaxText));
      outcome_.count = report["resultInfo"][0]["infos"][0];
      outcome_.totals = report["resultInfo"][1];
    } else if (frame.type == FrameType::kProgress) {
      outcome_.phases.push_back(reader.get_text(kMaxNameText));
    } else if (frame.type == FrameType::kFile) {
      take_file(frame, reader);
    }
  }

  void take_file(Frame& frame, ByteReader& reader) {
    const auto sequence = reader.get<uint64_t>();
    const auto uri = reader.get_text(kMaxNameText);
    if (plan_.arrived) plan_.arrived(uri);
    outcome_.uris.push_back(uri);
    outcome_.files[uri] = text_of(frame.fds.at(0).borrow());
    if (frame.fds.size() > 1) outcome_.rows[uri] = text_of(frame.fds[1].borrow());
    frame.fds.clear();
    if (plan_.read) plan_.read(uri);
    if (plan_.closes) settle(sequence, Outcome::kClosed);
    settle(sequence, Outcome::kTaken);
  }

  void settle(uint64_t sequence, Outcome outcome) {
    const auto frame = FrameBuilder(FrameType::kSettled)
                           .number(sequence)
                           .number(static_cast<uint8_t>(outcome))
                           .build();
    ASSERT_TRUE(service_.send(frame));
  }

  const BackupPlan& plan_;
  std::pair<UniqueFd, UniqueFd> pair_;
  Channel service_;
  bool done_ = false;
  BackupOutcome outcome_;
};

}  // namespace backupkit
