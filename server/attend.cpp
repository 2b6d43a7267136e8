#include "server/attend.h"

#include <absl/time/clock.h>

#include <cstdint>
#include <initializer_list>
#include <utility>

namespace attnd::server {
namespace {

double SecondsBetween(std::chrono::steady_clock::time_point begin, std::chrono::steady_clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// As far as 63 bits go: a description may claim any number of bytes.
std::int64_t Sum(std::initializer_list<std::int64_t> sizes_bytes) {
  std::int64_t sum = 0;
  for (const std::int64_t size_bytes : sizes_bytes) {
    if (__builtin_add_overflow(sum, size_bytes, &sum)) return INT64_MAX;
  }
  return sum;
}

absl::Status AllocateInto(TensorMemory& buffer, std::int64_t size_bytes) {
  absl::StatusOr<TensorMemory> allocated = TensorMemory::Allocate(size_bytes);
  if (!allocated.ok()) return allocated.status();
  buffer = *std::move(allocated);
  return absl::OkStatus();
}

}  // namespace

AttendCall::AttendCall(const AttendContext& context, absl::Time deadline) : context_(context), deadline_(deadline) {}

AttendCall::~AttendCall() {
  if (received_) context_.metrics->AddRequestsInFlight(-1);
}

absl::Status AttendCall::Receive(std::int64_t message_size_bytes) {
  received_ = true;
  received_at_ = Clock::now();
  context_.metrics->AddRequestsInFlight(1);
  context_.metrics->AddReceivedBytes(message_size_bytes);
  absl::StatusOr<Reservation> message = context_.admission->Reserve(message_size_bytes);
  if (!message.ok()) return message.status();
  message_ = *std::move(message);
  return absl::OkStatus();
}

absl::Status AttendCall::ReserveForParsing(std::int64_t size_bytes) { return message_.Extend(size_bytes); }

absl::StatusOr<InputMemory> AttendCall::Open(const core::ProblemDescription& description,
                                             std::int64_t max_answer_bytes) {
  if (absl::Now() >= deadline_) return absl::DeadlineExceededError("deadline: passed before the request was decoded");
  if (cancellation_->cancelled()) return Explain(absl::CancelledError("cancelled by the caller"));
  absl::StatusOr<core::Problem> problem = core::CheckProblem(description, {.max_answer_bytes = max_answer_bytes});
  if (!problem.ok()) return problem.status();
  inputs_.emplace();
  answer_ = std::make_shared<Answer>();
  answer_->problem = *std::move(problem);
  if (absl::Status status = Reserve(description); !status.ok()) return status;
  if (absl::Status status = Allocate(description); !status.ok()) return status;
  return InputMemory{.query = inputs_->query.data(),
                     .key = inputs_->key.data(),
                     .value = inputs_->value.data(),
                     .mask = inputs_->mask.data()};
}

void AttendCall::Compute(std::int64_t parsed_size_bytes, Done done) {
  context_.metrics->AddCopiedBytes(parsed_size_bytes + inputs_->query.size_bytes() + inputs_->key.size_bytes() +
                                   inputs_->value.size_bytes() + inputs_->mask.size_bytes());
  answer_->decode_seconds = SecondsBetween(received_at_, Clock::now());
  context_.metrics->ObservePhase(Phase::kDecode, answer_->decode_seconds);

  const core::Tensors tensors{.query = inputs_->query.data(),
                              .key = inputs_->key.data(),
                              .value = inputs_->value.data(),
                              .mask = reinterpret_cast<const std::uint8_t*>(inputs_->mask.data()),
                              .output = answer_->output.data(),
                              .weights = reinterpret_cast<float*>(answer_->weights.data()),
                              .log_sum_exp = reinterpret_cast<float*>(answer_->log_sum_exp.data())};
  context_.engine->Start(
      answer_->problem, tensors, {.deadline = deadline_, .cancellation = cancellation_},
      [this, done = std::move(done)](absl::StatusOr<core::Report> report) { OnComputed(std::move(report), done); });
}

// Everything at once, before any of it is allocated; in two parts, since the inputs are given back when the engine is
// done and the answer when it has been sent. Packing is asked for only where the tensors fit, which keeps it from
// overflowing: it makes keys and values larger by a bounded factor.
absl::Status AttendCall::Reserve(const core::ProblemDescription& description) {
  const core::Problem& problem = answer_->problem;
  const std::int64_t tensors_size_bytes = Sum({description.query_size_bytes, description.key_size_bytes,
                                               description.value_size_bytes, description.mask_size_bytes.value_or(0)});
  const std::int64_t answer_size_bytes =
      Sum({problem.output_size_bytes, problem.weights_size_bytes, problem.log_sum_exp_size_bytes});
  const std::int64_t unpacked_size_bytes = Sum({message_.bytes(), tensors_size_bytes, answer_size_bytes});
  if (absl::Status status = context_.admission->CheckFits(unpacked_size_bytes); !status.ok()) return status;
  const std::int64_t packed_size_bytes = context_.engine->PackedSizeBytes(problem);
  if (absl::Status status = context_.admission->CheckFits(unpacked_size_bytes + packed_size_bytes); !status.ok()) {
    return status;
  }
  const std::int64_t inputs_size_bytes = tensors_size_bytes + packed_size_bytes;
  absl::StatusOr<Reservation> inputs = context_.admission->Reserve(inputs_size_bytes);
  if (!inputs.ok()) return inputs.status();
  inputs_->reservation = *std::move(inputs);
  absl::StatusOr<Reservation> answer = context_.admission->Reserve(answer_size_bytes);
  if (!answer.ok()) return answer.status();
  answer_->reservation = *std::move(answer);
  held_bytes_ = inputs_size_bytes + answer_size_bytes;
  return absl::OkStatus();
}

absl::Status AttendCall::Allocate(const core::ProblemDescription& description) {
  const core::Problem& problem = answer_->problem;
  const std::pair<TensorMemory*, std::int64_t> buffers[] = {
      {&inputs_->query, description.query_size_bytes},        {&inputs_->key, description.key_size_bytes},
      {&inputs_->value, description.value_size_bytes},        {&inputs_->mask, description.mask_size_bytes.value_or(0)},
      {&answer_->output, problem.output_size_bytes},          {&answer_->weights, problem.weights_size_bytes},
      {&answer_->log_sum_exp, problem.log_sum_exp_size_bytes}};
  for (const auto& [buffer, size_bytes] : buffers) {
    if (absl::Status status = AllocateInto(*buffer, size_bytes); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void AttendCall::OnComputed(absl::StatusOr<core::Report> report, const Done& done) {
  computed_at_ = Clock::now();
  inputs_.reset();
  const std::shared_ptr<Answer> answer = std::move(answer_);
  if (!report.ok()) {
    done(Explain(report.status()));
    return;
  }
  context_.metrics->ObservePhase(Phase::kQueue, report->queue_seconds);
  context_.metrics->ObservePhase(Phase::kCompute, report->compute_seconds);
  answer->report = *std::move(report);
  done(answer);
}

absl::Status AttendCall::Explain(absl::Status status) const {
  if (!absl::IsCancelled(status) || absl::Now() < deadline_) return status;
  return absl::DeadlineExceededError("deadline: passed before the answer was computed");
}

double AttendCall::EncodeSeconds() const { return SecondsBetween(computed_at_, Clock::now()); }

void AttendCall::EndEncode(std::int64_t sent_bytes) {
  context_.metrics->ObservePhase(Phase::kEncode, EncodeSeconds());
  context_.metrics->AddSentBytes(sent_bytes);
}

}  // namespace attnd::server
