#include "core/call.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "core/packed_keys_values.h"

namespace attnd::core {
namespace {

// What a task of many small groups costs at least: some microseconds, beside which it is little to claim one.
constexpr double kTaskOperations = 2.5e5;

// What a group costs beside its products: about half a microsecond.
constexpr double kGroupOperations = 4e4;

// To wake a thread takes some 20 microseconds, after which two would end a call that costs less hardly sooner than one.
constexpr double kBriefOperations = 1e6;

// Some 0.1 to 0.2 milliseconds: as long as the bytes of a request that costs so much travel.
constexpr double kSmallOperations = 2e7;

WorkSize SizeOf(const Execution& execution) {
  // Which cost more than what is counted here.
  if (HasSummaries(execution.problem().summaries)) return WorkSize::kLarge;
  double operations = 0;
  for (std::int64_t group = 0; group < execution.plan().groups && operations <= kSmallOperations; ++group) {
    operations += kGroupOperations + execution.plan().OperationsOfGroup(execution.SequenceOf(group));
  }
  if (operations <= kBriefOperations) return WorkSize::kBrief;
  return operations <= kSmallOperations ? WorkSize::kSmall : WorkSize::kLarge;
}

double SecondsSince(absl::Time start) { return absl::ToDoubleSeconds(absl::Now() - start); }

}  // namespace

Call::Call(const Problem& problem, const Tensors& tensors, CallOptions options, Done done,
           std::shared_ptr<kernels::Products> products, std::string fingerprint, Observer* observer)
    : options_(std::move(options)),
      done_(std::move(done)),
      observer_(observer),
      started_at_(absl::Now()),
      execution_(problem, tensors, products),
      size_(SizeOf(execution_)) {
  report_.kernel = products->name();
  report_.fingerprint = std::move(fingerprint);
  report_.query_tile_rows = kQueryTileRows;
  report_.key_tile_keys = kKeyTileKeys;
  if (tensors.packed != nullptr) status_ = tensors.packed->CheckFits(problem);
}

absl::Status Call::ReasonToGiveUp() const {
  if (options_.cancellation != nullptr && options_.cancellation->cancelled()) {
    return absl::CancelledError("the call was cancelled; its remaining work is dropped");
  }
  if (options_.deadline != absl::InfiniteFuture() && absl::Now() >= options_.deadline) {
    return absl::DeadlineExceededError("the call's deadline has passed; its remaining work is dropped");
  }
  return absl::OkStatus();
}

Work::Claim Call::ClaimTask() {
  absl::MutexLock lock(&mutex_);
  if (first_claimed_at_ == absl::InfinitePast()) {
    first_claimed_at_ = absl::Now();
    report_.queue_seconds = absl::ToDoubleSeconds(first_claimed_at_ - started_at_);
  }
  if (status_.ok()) status_ = ReasonToGiveUp();
  if (!status_.ok()) return {.kind = Claim::Kind::kNoMore, .task = nullptr};
  if (preparation_ == Preparation::kNotStarted) {
    preparation_ = Preparation::kRunning;
    return {.kind = Claim::Kind::kTask, .task = [this](Scratch&) { RunPrepare(); }};
  }
  if (preparation_ == Preparation::kRunning) return {.kind = Claim::Kind::kNotNow, .task = nullptr};
  // Computing comes before packing the next group: then no more groups are packed than there are workers.
  std::optional<Task> task = ClaimCompute();
  if (!task.has_value()) task = ClaimReadOnce();
  if (!task.has_value()) task = ClaimPack();
  if (task.has_value()) return {.kind = Claim::Kind::kTask, .task = *std::move(task)};
  if (!status_.ok()) return {.kind = Claim::Kind::kNoMore, .task = nullptr};
  const bool all_claimed = next_group_ == execution_.plan().groups &&
                           std::all_of(groups_.begin(), groups_.end(),
                                       [&](const auto& group) { return group->claimed_computes == group->computes; });
  if (!all_claimed) return {.kind = Claim::Kind::kNotNow, .task = nullptr};
  if (summaries_ == nullptr) return {.kind = Claim::Kind::kNoMore, .task = nullptr};
  // Summaries need the softmax of all rows.
  if (!groups_.empty() || running_read_once_ > 0 || summaries_->tasks().MustWait()) {
    return {.kind = Claim::Kind::kNotNow, .task = nullptr};
  }
  task = ClaimSummary();
  if (task.has_value()) return {.kind = Claim::Kind::kTask, .task = *std::move(task)};
  return {.kind = Claim::Kind::kNoMore, .task = nullptr};
}

std::optional<Task> Call::ClaimCompute() {
  for (const std::unique_ptr<Group>& entry : groups_) {
    Group* group = entry.get();
    const bool packed = group->finished_packs == group->packs;
    if (!packed || group->claimed_computes == group->computes) continue;
    const std::int64_t tile = group->claimed_computes++;
    return [this, group, tile](Scratch& scratch) { RunCompute(group, tile, scratch); };
  }
  return std::nullopt;
}

std::optional<Task> Call::ClaimReadOnce() {
  const Plan& plan = execution_.plan();
  Range groups{.begin = next_group_, .end = next_group_};
  for (double operations = 0; groups.end < plan.groups && operations < kTaskOperations; ++groups.end) {
    const Sequence sequence = execution_.SequenceOf(groups.end);
    if (!plan.IsReadOnce(sequence)) break;
    operations += plan.OperationsOfGroup(sequence);
  }
  if (groups.size() == 0) return std::nullopt;
  next_group_ = groups.end;
  ++running_read_once_;
  return [this, groups](Scratch& scratch) { RunReadOnce(groups, scratch); };
}

std::optional<Task> Call::ClaimPack() {
  const auto claim = [this](Group* group) {
    const std::int64_t key_tile = group->claimed_packs++;
    return [this, group, key_tile](Scratch& scratch) { RunPack(group, key_tile, scratch); };
  };
  for (const std::unique_ptr<Group>& group : groups_) {
    if (group->claimed_packs < group->packs) return claim(group.get());
  }
  if (!StartNextGroup()) return std::nullopt;
  // A sequence of a ragged batch may have no keys, of which there is nothing to pack.
  return groups_.back()->packs > 0 ? claim(groups_.back().get()) : ClaimCompute();
}

std::optional<Task> Call::ClaimSummary() {
  const std::optional<SummaryTask> summary = summaries_->tasks().Next();
  if (!summary.has_value()) return std::nullopt;
  return [this, summary = *summary](Scratch& scratch) { RunSummary(summary, scratch); };
}

bool Call::StartNextGroup() {
  // A sequence of a ragged batch may have no rows, for which there is nothing to do.
  Sequence sequence;
  while (sequence.rows == 0) {
    if (next_group_ == execution_.plan().groups) return false;
    sequence = execution_.SequenceOf(next_group_++);
  }
  auto group = std::make_unique<Group>();
  group->index = next_group_ - 1;
  group->computes = execution_.plan().QueryTilesOfGroup(sequence);
  group->packed = execution_.PackedBefore(group->index);
  if (group->packed == nullptr && !MakeRoom(sequence, *group)) return false;
  groups_.push_back(std::move(group));
  return true;
}

bool Call::MakeRoom(const Sequence& sequence, Group& group) {
  const Plan& plan = execution_.plan();
  group.own_packed = PackedKv::Make(plan, sequence);
  if (group.own_packed == nullptr) {
    status_ = absl::ResourceExhaustedError(
        absl::StrCat("no memory for ", PackedKv::SizeBytes(plan, sequence), " bytes of packed keys and values"));
    return false;
  }
  group.packed = group.own_packed.get();
  group.packs = group.packed->key_tiles();
  return true;
}

void Call::RunPrepare() {
  absl::Status status;
  if (HasSummaries(execution_.problem().summaries)) {
    summaries_ = SummaryPass::Make(execution_);
    if (summaries_ == nullptr) {
      status = absl::ResourceExhaustedError(absl::StrCat("no memory for ", RowStates::SizeBytes(execution_.problem()),
                                                         " bytes of the rows' maxima and sums"));
    }
  }
  if (status.ok()) status = execution_.Prepare(summaries_ != nullptr ? summaries_->row_states() : nullptr);
  absl::MutexLock lock(&mutex_);
  preparation_ = Preparation::kDone;
  if (!status.ok()) status_ = std::move(status);
}

void Call::RunPack(Group* group, std::int64_t key_tile, Scratch& scratch) {
  const absl::Time start = absl::Now();
  execution_.Pack(group->index, key_tile, *group->own_packed, scratch);
  if (observer_ != nullptr) observer_->OnWorkDone({.busy_seconds = SecondsSince(start)});
  absl::MutexLock lock(&mutex_);
  ++group->finished_packs;
}

void Call::RunCompute(Group* group, std::int64_t tile, Scratch& scratch) {
  Compute([&](absl::FunctionRef<bool()> give_up) {
    return execution_.Compute(group->index, tile, *group->packed, give_up, scratch);
  });
  absl::MutexLock lock(&mutex_);
  if (++group->finished_computes < group->computes) return;
  std::erase_if(groups_, [group](const auto& entry) { return entry.get() == group; });
}

void Call::RunReadOnce(Range groups, Scratch& scratch) {
  Compute([&](absl::FunctionRef<bool()> give_up) {
    TileResult sum;
    for (std::int64_t group = groups.begin; group < groups.end; ++group) {
      sum += execution_.ComputeReadOnce(group, give_up, scratch);
    }
    return sum;
  });
  absl::MutexLock lock(&mutex_);
  --running_read_once_;
}

void Call::Compute(absl::FunctionRef<TileResult(absl::FunctionRef<bool()> give_up)> compute) {
  const absl::Time start = absl::Now();
  absl::Status reason;
  const auto give_up = [&] {
    if (reason.ok()) reason = ReasonToGiveUp();
    return !reason.ok();
  };
  const TileResult result = compute(give_up);
  if (observer_ != nullptr) {
    observer_->OnWorkDone({.computed_tiles = result.computed_tiles,
                           .skipped_tiles = result.skipped_tiles,
                           .floating_point_operations = result.floating_point_operations,
                           .busy_seconds = SecondsSince(start)});
  }
  absl::MutexLock lock(&mutex_);
  if (status_.ok()) status_ = std::move(reason);
  report_.computed_tiles += result.computed_tiles;
  report_.skipped_tiles += result.skipped_tiles;
  report_.floating_point_operations += result.floating_point_operations;
  report_.empty_rows += result.empty_rows;
}

void Call::RunSummary(const SummaryTask& summary, Scratch& scratch) {
  const absl::Time start = absl::Now();
  absl::Status reason;
  const auto give_up = [&] {
    if (reason.ok()) reason = ReasonToGiveUp();
    return !reason.ok();
  };
  const absl::StatusOr<std::int64_t> tiles = summaries_->Run(summary, give_up, scratch);
  if (observer_ != nullptr) observer_->OnWorkDone({.busy_seconds = SecondsSince(start)});
  absl::MutexLock lock(&mutex_);
  if (status_.ok()) status_ = tiles.ok() ? reason : tiles.status();
  report_.summary_tiles += tiles.value_or(0);
  summaries_->tasks().Finish(summary);
}

void Call::Finish() {
  absl::StatusOr<Report> result = [&]() -> absl::StatusOr<Report> {
    absl::MutexLock lock(&mutex_);
    groups_.clear();
    if (!status_.ok()) return status_;
    report_.compute_seconds = SecondsSince(first_claimed_at_);
    return report_;
  }();
  done_(std::move(result));
}

}  // namespace attnd::core
