#include "server/merge.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <utility>

namespace attnd::server {
namespace {

// Elements that are merged before the next look at whether anybody still waits: about a millisecond's.
constexpr std::int64_t kElementsBetweenLooks = 1 << 20;

}  // namespace

absl::StatusOr<MergeMemory> MergeCall::Open(const core::MergeDescription& description) {
  if (absl::Status status = CheckIsWanted("request was decoded"); !status.ok()) return status;
  absl::StatusOr<core::Merge> merge = core::CheckMerge(description, {.max_answer_bytes = context().max_message_bytes});
  if (!merge.ok()) return merge.status();

  const std::int64_t inputs_bytes = AddSizes(description.output_size_bytes, description.log_sum_exp_size_bytes);
  const std::int64_t answer_bytes = merge->output.size_bytes + merge->log_sum_exp.size_bytes;
  Admission& admission = *context().admission;
  if (absl::Status status = admission.CheckFits(AddSizes(message_bytes(), AddSizes(inputs_bytes, answer_bytes)));
      !status.ok()) {
    return status;
  }
  absl::StatusOr<Reservation> inputs = admission.Reserve(inputs_bytes);
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<Reservation> answer = admission.Reserve(answer_bytes);
  if (!answer.ok()) return answer.status();

  inputs_ = *std::move(inputs);
  merged_ = std::make_shared<Merged>();
  merged_->reservation = *std::move(answer);
  merged_->merge = *std::move(merge);
  KeptMemory& kept = *context().kept_memory;
  absl::Status status = AllocateInto(output_, description.output_size_bytes, kept);
  if (status.ok()) status = AllocateInto(log_sum_exp_, description.log_sum_exp_size_bytes, kept);
  if (status.ok()) status = AllocateInto(merged_->output, merged_->merge.output.size_bytes, kept);
  if (status.ok()) status = AllocateInto(merged_->log_sum_exp, merged_->merge.log_sum_exp.size_bytes, kept);
  if (!status.ok()) return status;
  return MergeMemory{.output = output_.data(), .log_sum_exp = log_sum_exp_.data()};
}

absl::StatusOr<std::shared_ptr<const Merged>> MergeCall::Compute(std::int64_t parsed_size_bytes) {
  EndDecode(parsed_size_bytes + output_.size_bytes() + log_sum_exp_.size_bytes());
  const absl::Time begin = absl::Now();
  const core::Merge& merge = merged_->merge;
  const core::MergeTensors tensors{.output = output_.data(),
                                   .log_sum_exp = reinterpret_cast<const float*>(log_sum_exp_.data()),
                                   .merged_output = merged_->output.data(),
                                   .merged_log_sum_exp = reinterpret_cast<float*>(merged_->log_sum_exp.data())};
  const std::int64_t rows_between_looks =
      std::max<std::int64_t>(1, kElementsBetweenLooks / merge.parts / merge.value_head_size);
  for (std::int64_t row = 0; row < merge.rows; row += rows_between_looks) {
    if (absl::Status status = CheckIsWanted("answer was computed"); !status.ok()) return status;
    core::MergeRows(merge, tensors, row, std::min(row + rows_between_looks, merge.rows));
  }
  EndCompute();
  context().metrics->ObservePhase(Phase::kCompute, absl::ToDoubleSeconds(absl::Now() - begin));
  output_ = TensorMemory();
  log_sum_exp_ = TensorMemory();
  inputs_ = Reservation();
  return std::move(merged_);
}

}  // namespace attnd::server
