// What a power cut can leave of a restore, and what recovery makes of it. Of what has happened
// since the last sync any subset may be on the disk. Where a restore syncs is read off its system
// calls; each window between two syncs has its states, made on the real tree so that inodes are
// what the journal says.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "native/extension/metadata.h"
#include "native/extension/transaction.h"
#include "native/io/path.h"
#include "tests/native/points.h"
#include "tests/native/tracer.h"
#include "tests/native/transaction_run.h"

namespace backupkit {
namespace {

namespace fs = std::filesystem;

class PowerCut : public TransactionRun {
 protected:
  // Which of `count` things a cut has kept.
  using Kept = std::vector<bool>;

  void TearDown() override {
    std::cout << states_ << " states\n";
    TransactionRun::TearDown();
  }

  // None, all, all that one or two are missing of, one or two alone, every begin, then any.
  static std::vector<Kept> subsets(size_t count) {
    std::vector<Kept> found;
    for (const bool base : {false, true}) {
      found.emplace_back(count, base);
      for (size_t i = 0; i < count; ++i) {
        for (size_t j = i; j < count; ++j) {
          Kept kept(count, base);
          kept[i] = kept[j] = !base;
          found.push_back(std::move(kept));
        }
      }
    }
    for (size_t length = 1; length < count; ++length) {
      Kept kept(count, false);
      std::fill_n(kept.begin(), length, true);
      found.push_back(std::move(kept));
    }
    std::mt19937_64 random(7);
    const size_t more = visits_all() ? 10'000 : 0;
    for (size_t i = 0; i < more; ++i) {
      Kept kept(count);
      for (size_t at = 0; at < count; ++at) kept[at] = (random() & 1U) != 0;
      found.push_back(std::move(kept));
    }
    if (visits_all()) return found;
    std::shuffle(found.begin() + 2, found.end(), std::mt19937_64(std::random_device()()));
    found.resize(std::min(found.size(), affordable(200)));
    return found;
  }

  [[nodiscard]] fs::path transaction() const { return sandbox() / ".backup/transaction"; }

  // Takes one step as the transaction itself does.
  void take(const Step& step, size_t number, bool back) const {
    const auto place = sandbox() / step.path;
    const auto kept = step.inode != 0 ? transaction() / "new" / step.path
                                      : transaction() / "gone" / std::to_string(number);
    if (step.inode != 0 && step.old != 0) {
      ASSERT_EQ(::renameat2(AT_FDCWD, place.c_str(), AT_FDCWD, kept.c_str(), RENAME_EXCHANGE), 0);
    } else if ((step.old != 0) != back) {
      fs::rename(place, step.old != 0 ? kept : transaction() / "gone" / std::to_string(number));
    } else {
      fs::rename(kept, place);
    }
  }

  // The same of one change of metadata.
  void take(const MetadataChange& change, bool back) {
    const auto wanted = back ? std::optional(change.before) : change.after;
    if (!wanted) return;
    const auto entry = open_beneath(root(), change.path, O_PATH | O_NOFOLLOW);
    if (!entry) return;  // it is there only when its directory's step was taken
    ASSERT_TRUE(set_metadata(entry->borrow(), *wanted));
  }

  void keep(const Journal& journal, const Kept& kept, bool back) {
    size_t at = 0;
    for (size_t i = 0; i < journal.steps.size(); ++i) {
      if (kept[at++]) take(journal.steps[i], i, back);
    }
    for (const auto& change : journal.changes) {
      if (kept[at++]) take(change, back);
    }
  }

  static size_t size_of(const Journal& journal) {
    return journal.steps.size() + journal.changes.size();
  }

  // The sandbox as it is when the journal has just got its name.
  Journal commit_to(const char* name) {
    auto prepared = prepare(true);
    make_file(transaction() / name, write_journal(prepared.journal), 0600);
    return prepared.journal;
  }

  void begin_anew() {
    fs::remove_all(sandbox());
    make_old(sandbox());
  }

  void expect_recovered(Recovered wanted, bool is_new) {
    ++states_;
    const auto recovered = recover(root(), {}, no_code);
    ASSERT_TRUE(recovered) << recovered.error().message();
    EXPECT_EQ(*recovered, wanted);
    expect_same(tree_of(sandbox()), is_new ? new_ : old_);
    EXPECT_FALSE(fs::exists(sandbox() / ".backup"));
  }

  // The deepest first.
  static std::vector<fs::path> entries_below(const fs::path& directory) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
      found.push_back(entry.path());
    }
    std::ranges::sort(found, std::greater());
    return found;
  }

  static void tear(const fs::path& entry, bool removes) {
    if (!removes && fs::is_regular_file(fs::symlink_status(entry))) {
      fs::permissions(entry, fs::perms::owner_write, fs::perm_options::add);
      fs::resize_file(entry, fs::file_size(entry) / 2);
    } else {
      fs::remove_all(entry);
    }
  }

  // What a piece of work does to the disk, a letter a call.
  static std::string order_of(const std::function<bool()>& work) {
    const auto traced =
        run_traced([&] { return work() ? 0 : 1; }, kNoCall, {.kind = Break::Kind::kKillAtChange});
    EXPECT_EQ(traced.status, 0);
    std::string letters;
    for (const auto number : traced.order) {
      const bool removes = number == SYS_unlinkat;
      const bool renames = number == SYS_renameat2 || number == SYS_renameat;
      letters += number == SYS_syncfs  ? 'S'
                 : number == SYS_fsync ? 'F'
                 : removes             ? 'U'
                 : renames             ? 'R'
                                       : 'c';
    }
    return letters;
  }

  size_t states_ = 0;
};

TEST_F(PowerCut, the_syncs_are_where_the_states_below_take_them_to_be) {
  const std::string stage = "[cU]*";
  const std::string name = "SRF";  // all before it is on the disk before the name is, and that next
  const std::string steps = "[Rc]*";
  const std::string end = "SRFU*c*";
  const auto matches = [](const std::string& order, const std::string& wanted) {
    EXPECT_TRUE(std::regex_match(order, std::regex(wanted))) << order << "\n" << wanted;
  };
  matches(order_of([&] {
            auto prepared = prepare(true);
            return prepared.transaction.commit(prepared.journal) && prepared.transaction.finish();
          }),
          stage + name + steps + end);
  begin_anew();
  matches(order_of([&] {
            auto prepared = prepare(true);
            return prepared.transaction.commit(prepared.journal) && prepared.transaction.undo();
          }),
          stage + name + steps + name + steps + end);
  begin_anew();
  (void)commit_to("journal");
  matches(order_of([&] { return recover(root(), {}, no_code) == Recovered::kCompleted; }),
          "U?" + steps + end);
  begin_anew();
  (void)commit_to("journal");
  matches(
      order_of([&] { return recover(root(), {.undoes = true}, no_code) == Recovered::kUndone; }),
      "U?RF" + steps + end);
}

// Of what is staged anything may be missing, torn or empty, and so may the journal.
TEST_F(PowerCut, before_the_journal_has_its_name_nothing_has_happened) {
  const auto text = write_journal(commit_to("journal"));
  const auto count = entries_below(transaction() / "new").size();
  begin_anew();
  std::mt19937_64 random(8);
  for (const auto& kept : subsets(count)) {
    (void)prepare(true);
    const auto staged = entries_below(transaction() / "new");
    for (size_t i = 0; i < staged.size(); ++i) {
      if (!kept[i]) tear(staged[i], random() % 2 == 0);
    }
    make_file(transaction() / "journal.new",
              text.substr(0, static_cast<size_t>(random() % (text.size() + 1))), 0600);
    expect_recovered(Recovered::kDiscarded, false);
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(PowerCut, of_steps_and_changes_every_subset_is_completed) {
  const auto count = size_of(commit_to("journal"));
  begin_anew();
  ASSERT_GT(count, 20U);
  for (const auto& kept : subsets(count)) {
    keep(commit_to("journal"), kept, false);
    expect_recovered(Recovered::kCompleted, true);
    ASSERT_FALSE(HasFailure());
    begin_anew();
  }
}

TEST_F(PowerCut, of_those_back_every_subset_is_undone) {
  const auto count = size_of(commit_to("journal"));
  begin_anew();
  for (const auto& kept : subsets(count)) {
    const auto journal = commit_to("undo");
    keep(journal, Kept(count, true), false);
    keep(journal, kept, true);
    expect_recovered(Recovered::kUndone, false);
    ASSERT_FALSE(HasFailure());
    begin_anew();
  }
}

TEST_F(PowerCut, of_the_removal_every_subset_is_gone_on_with) {
  for (const bool is_back : {false, true}) {
    const auto journal = commit_to("journal");
    keep(journal, Kept(size_of(journal), true), false);
    const auto count = entries_below(transaction()).size();
    begin_anew();
    for (const auto& kept : subsets(count)) {
      const auto taken = commit_to("journal");
      keep(taken, Kept(size_of(taken), true), false);
      if (is_back) keep(taken, Kept(size_of(taken), true), true);
      const auto trash = sandbox() / ".backup/trash";
      fs::rename(transaction(), trash);
      const auto entries = entries_below(trash);
      for (size_t i = 0; i < entries.size() && i < kept.size(); ++i) {
        if (kept[i]) (void)::remove(entries[i].c_str());  // a directory if nothing is left in it
      }
      expect_recovered(Recovered::kNothing, !is_back);
      ASSERT_FALSE(HasFailure());
      begin_anew();
    }
  }
}

}  // namespace
}  // namespace backupkit
