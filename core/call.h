// One call while it runs: hands out its pieces in an order that keeps few packed groups alive, and gives up when it is
// cancelled or its deadline has passed.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/call_options.h"
#include "core/execute.h"
#include "core/observer.h"
#include "core/report.h"
#include "core/summary_pass.h"
#include "core/worker_pool.h"

namespace attnd::core {

class Call final : public Work {
 public:
  using Done = std::function<void(absl::StatusOr<Report>)>;

  // `observer` may be null.
  Call(const Problem& problem, const Tensors& tensors, CallOptions options, Done done,
       std::shared_ptr<kernels::Products> products, std::string fingerprint, Observer* observer);

  Claim ClaimTask() override;
  void Finish() override;
  WorkSize Size() const override { return size_; }

 private:
  // A group whose keys and values are being packed, or whose queries are being computed.
  struct Group {
    std::int64_t index = 0;
    // How many there are of either.
    std::int64_t packs = 0;
    std::int64_t computes = 0;
    const PackedKv* packed = nullptr;
    std::unique_ptr<PackedKv> own_packed;  // null where it was packed before the call
    std::int64_t claimed_packs = 0;
    std::int64_t finished_packs = 0;
    std::int64_t claimed_computes = 0;
    std::int64_t finished_computes = 0;
  };

  absl::Status ReasonToGiveUp() const;
  std::optional<Task> ClaimCompute() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Task> ClaimPack() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A few groups that are read once.
  std::optional<Task> ClaimReadOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // When all groups are finished.
  std::optional<Task> ClaimSummary() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool StartNextGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sets status_ where memory cannot be had.
  bool MakeRoom(const Sequence& sequence, Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void RunPrepare();
  void RunPack(Group* group, std::int64_t key_tile, Scratch& scratch);
  void RunCompute(Group* group, std::int64_t tile, Scratch& scratch);
  void RunReadOnce(Range groups, Scratch& scratch);
  // Runs it, which asks now and then whether to give up, and reports what it did.
  void Compute(absl::FunctionRef<TileResult(absl::FunctionRef<bool()> give_up)> compute);
  void RunSummary(const SummaryTask& summary, Scratch& scratch);

  // Constant after construction.
  const CallOptions options_;
  const Done done_;
  Observer* const observer_;
  const absl::Time started_at_;
  Execution execution_;
  const WorkSize size_;
  // Where summaries are asked for; made by RunPrepare, before anybody else looks.
  std::unique_ptr<SummaryPass> summaries_;

  absl::Mutex mutex_;
  enum class Preparation : std::uint8_t { kNotStarted, kRunning, kDone };
  Preparation preparation_ ABSL_GUARDED_BY(mutex_) = Preparation::kNotStarted;
  std::vector<std::unique_ptr<Group>> groups_ ABSL_GUARDED_BY(mutex_);  // those at work, oldest first
  std::int64_t running_read_once_ ABSL_GUARDED_BY(mutex_) = 0;          // tasks
  std::int64_t next_group_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  Report report_ ABSL_GUARDED_BY(mutex_);
  absl::Time first_claimed_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace attnd::core
