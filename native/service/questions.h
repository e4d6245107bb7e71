// What clients ask outside of a session's bundles, and who waits for which answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "native/service/caller.h"
#include "native/service/inquiry.h"

namespace backupkit {

// Runs on the loop's thread. Each question has an Inquiry of its own, and its asker gets the answer
// as the Reply to its request.
class Questions {
 public:
  // `root` and `settings` outlive it. `is_running`: whether a session is at work on a bundle.
  // `stuck` as for Inquiry::app_call.
  Questions(Loop& loop, BorrowedFd root, const ServiceSettings& settings,
            std::function<bool(const std::string&)> is_running, std::set<std::string>* stuck);

  // Each takes one kind of request. False: the frame breaks the grammar.
  [[nodiscard]] bool ask_capabilities(Caller& asker, uint32_t request, const Frame& frame,
                                      ByteReader& reader);
  [[nodiscard]] bool ask_data_size(Caller& asker, uint32_t request, const Frame& frame,
                                   ByteReader& reader);
  [[nodiscard]] bool ask_app(Caller& asker, uint32_t request, const Frame& frame,
                             ByteReader& reader);

  // Ends the question for sizes that it still has: its request is cancelled, for that reason.
  void stop_sizing(Caller& asker, const std::string& why);

  // It goes, and with it all that it has asked.
  void forget(const Caller& asker);

  [[nodiscard]] size_t count() const { return questions_.size(); }

 private:
  struct Question {
    Caller* asker = nullptr;
    uint32_t request = 0;
    bool is_of_sizes = false;
    bool is_answered = false;
    std::unique_ptr<Inquiry> inquiry{};
  };
  using Start = std::function<Result<std::unique_ptr<Inquiry>>()>;
  using Tell = std::function<void(Answer)>;

  void survey(Question question, const Frame& frame, SurveyScope scope, Tell tell);
  void ask(Question question, const Start& start, Tell tell);
  void answer(uint64_t id, const Tell& tell, Result<Answer> result);
  [[nodiscard]] bool has_too_many(const Caller& asker) const;

  Loop& loop_;
  BorrowedFd root_;
  const ServiceSettings& settings_;
  std::function<bool(const std::string&)> is_running_;
  std::set<std::string>* stuck_;
  std::map<uint64_t, Question> questions_;
  uint64_t last_ = 0;
};

}  // namespace backupkit
