#include "server/attend.h"

#include <numeric>
#include <utility>

namespace attnd::server {
namespace {

using core::Input;
using core::Output;

// Where the core finds the tensors; null where there is none.
core::Tensors Lend(const core::PerInput<TensorMemory>& inputs, const core::PerOutput<TensorMemory>& outputs) {
  const auto in = [&](Input input) { return inputs[input].data(); };
  const auto out = [&](Output output) { return outputs[output].data(); };
  const auto out_floats = [&](Output output) { return reinterpret_cast<float*>(outputs[output].data()); };
  return {.query = in(Input::kQuery),
          .key = in(Input::kKey),
          .value = in(Input::kValue),
          .mask = reinterpret_cast<const std::uint8_t*>(in(Input::kMask)),
          .bias = in(Input::kBias),
          .query_segment_ids = reinterpret_cast<const std::int32_t*>(in(Input::kQuerySegmentIds)),
          .key_segment_ids = reinterpret_cast<const std::int32_t*>(in(Input::kKeySegmentIds)),
          .block_mask = reinterpret_cast<const std::uint8_t*>(in(Input::kBlockMask)),
          .output = out(Output::kOutput),
          .weights = out_floats(Output::kWeights),
          .log_sum_exp = out_floats(Output::kLogSumExp),
          .matrix = out(Output::kMatrix),
          .top_keys = reinterpret_cast<std::int32_t*>(out(Output::kTopKeys)),
          .top_weights = out_floats(Output::kTopWeights),
          .entropy = out_floats(Output::kEntropy),
          .largest_weight = out_floats(Output::kLargestWeight),
          .first_keys_weight = out_floats(Output::kFirstKeysWeight),
          .mean_distance = out_floats(Output::kMeanDistance),
          .received_sum = out_floats(Output::kReceivedSum),
          .received_maximum = out_floats(Output::kReceivedMaximum),
          .pooled_map = out_floats(Output::kPooledMap)};
}

std::int64_t SizeBytes(const core::PerInput<std::int64_t>& inputs) {
  return std::accumulate(inputs.begin(), inputs.end(), std::int64_t{0}, AddSizes);
}

std::int64_t SizeBytes(const core::PerOutput<core::AnswerTensor>& answer) {
  return std::accumulate(answer.begin(), answer.end(), std::int64_t{0},
                         [](std::int64_t sum, const core::AnswerTensor& t) { return AddSizes(sum, t.size_bytes); });
}

}  // namespace

absl::StatusOr<InputMemory> AttendCall::Open(const core::ProblemDescription& description,
                                             std::int64_t max_answer_bytes) {
  if (absl::Status status = CheckIsWanted("request was decoded"); !status.ok()) return status;
  absl::StatusOr<core::Problem> problem = core::CheckProblem(description, {.max_answer_bytes = max_answer_bytes});
  if (!problem.ok()) return problem.status();
  inputs_.emplace();
  inputs_->problem = *std::move(problem);
  answer_ = std::make_shared<Answer>();
  answer_->descriptions = inputs_->problem.answer;
  if (absl::Status status = Reserve(description); !status.ok()) return status;
  if (absl::Status status = Allocate(description); !status.ok()) return status;
  InputMemory memory;
  for (const Input input : core::kInputs) memory[input] = inputs_->tensors[input].data();
  return memory;
}

void AttendCall::Compute(std::int64_t parsed_size_bytes, Done done) {
  std::int64_t copied_bytes = parsed_size_bytes;
  for (const TensorMemory& tensor : inputs_->tensors) copied_bytes += tensor.size_bytes();
  answer_->decode_seconds = EndDecode(copied_bytes);
  context().engine->Start(
      inputs_->problem, Lend(inputs_->tensors, answer_->tensors),
      {.deadline = deadline(), .cancellation = cancellation()},
      [this, done = std::move(done)](absl::StatusOr<core::Report> report) { OnComputed(std::move(report), done); });
}

// Everything at once, before any of it is allocated; in two parts, since the inputs are given back when the engine is
// done and the answer when it has been sent. What the engine works with is asked for only where the tensors fit, which
// keeps it from overflowing: it is larger than they are by a bounded factor.
absl::Status AttendCall::Reserve(const core::ProblemDescription& description) {
  Admission& admission = *context().admission;
  const std::int64_t tensors_size_bytes = SizeBytes(description.size_bytes);
  const std::int64_t answer_size_bytes = SizeBytes(answer_->descriptions);
  const std::int64_t tensors_and_message_bytes =
      AddSizes(AddSizes(message_bytes(), tensors_size_bytes), answer_size_bytes);
  if (absl::Status status = admission.CheckFits(tensors_and_message_bytes); !status.ok()) return status;
  const std::int64_t working_size_bytes = context().engine->WorkingSizeBytes(inputs_->problem);
  if (absl::Status status = admission.CheckFits(AddSizes(tensors_and_message_bytes, working_size_bytes));
      !status.ok()) {
    return status;
  }
  const std::int64_t inputs_size_bytes = tensors_size_bytes + working_size_bytes;
  absl::StatusOr<Reservation> inputs = admission.Reserve(inputs_size_bytes);
  if (!inputs.ok()) return inputs.status();
  inputs_->reservation = *std::move(inputs);
  absl::StatusOr<Reservation> answer = admission.Reserve(answer_size_bytes);
  if (!answer.ok()) return answer.status();
  answer_->reservation = *std::move(answer);
  held_bytes_ = inputs_size_bytes + answer_size_bytes;
  return absl::OkStatus();
}

absl::Status AttendCall::Allocate(const core::ProblemDescription& description) {
  KeptMemory& kept = *context().kept_memory;
  absl::Status status;
  for (const Input input : core::kInputs) {
    if (status.ok()) status = AllocateInto(inputs_->tensors[input], description.size_bytes[input], kept);
  }
  for (const Output output : core::kOutputs) {
    if (status.ok()) status = AllocateInto(answer_->tensors[output], answer_->descriptions[output].size_bytes, kept);
  }
  return status;
}

void AttendCall::OnComputed(absl::StatusOr<core::Report> report, const Done& done) {
  EndCompute();
  inputs_.reset();
  const std::shared_ptr<Answer> answer = std::move(answer_);
  if (!report.ok()) {
    done(Explain(report.status(), "answer was computed"));
    return;
  }
  context().metrics->ObservePhase(Phase::kQueue, report->queue_seconds);
  context().metrics->ObservePhase(Phase::kCompute, report->compute_seconds);
  answer->report = *std::move(report);
  done(answer);
}

}  // namespace attnd::server
