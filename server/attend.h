// The one way of a request, above every interface: admission, check, memory, engine, figures. An interface translates
// its messages to and from core/problem and does nothing else.
//
//   AttendCall call(context, deadline);
//   call.Receive(message_size_bytes);  // the message has arrived
//   auto memory = call.Open(description, max_answer_bytes);  // what it says; where its elements go
//   … the elements are put there …
//   call.Compute(parsed_size_bytes, done);
//   … done(answer) on a worker …
//   call.EncodeSeconds();
//   call.EndEncode(sent_bytes);  // the answer has been handed on
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/engine.h"
#include "core/problem.h"
#include "server/admission.h"
#include "server/metrics.h"
#include "server/send_queues.h"
#include "server/tensor_memory.h"

namespace attnd::server {

// What all calls share. Everything is borrowed and must outlive every call and every answer.
struct AttendContext {
  core::Engine* engine = nullptr;
  Admission* admission = nullptr;
  Metrics* metrics = nullptr;
  // For the interfaces, which must not end a call before its answer has arrived while these are watched.
  const SendQueues* send_queues = nullptr;
  // Bytes of one request message and of one answer's tensors.
  std::int64_t max_message_bytes = 0;
  // What `admission` was made with.
  std::int64_t max_in_flight_bytes = 0;
  // Bytes that the requests of one stream may hold before it is read no further.
  std::int64_t max_stream_bytes = 0;
  // How long a stream may stand still.
  absl::Duration stream_stall = absl::InfiniteDuration();
};

// Where a request's elements go. Each points to as many bytes as the description said; mask is null where none came.
struct InputMemory {
  std::byte* query = nullptr;
  std::byte* key = nullptr;
  std::byte* value = nullptr;
  std::byte* mask = nullptr;
};

// What was computed. Whoever sends it shares it until its last byte has left: its bytes count as in flight until then.
struct Answer {
  // Given back after the buffers, which is why it comes first.
  Reservation reservation;
  TensorMemory output;
  // Empty where not asked for.
  TensorMemory weights;
  TensorMemory log_sum_exp;

  // The descriptions of the tensors above are in it.
  core::Problem problem;
  core::Report report;
  double decode_seconds = 0;
};

// One request. Not thread-safe, except for Cancel. After Compute it must live until `done` has run.
class AttendCall {
 public:
  // Runs exactly once, on a worker, and must not block. The statuses are those of core::Engine::Start.
  using Done = std::function<void(absl::StatusOr<std::shared_ptr<const Answer>>)>;

  AttendCall(const AttendContext& context, absl::Time deadline);
  ~AttendCall();
  AttendCall(const AttendCall&) = delete;
  AttendCall& operator=(const AttendCall&) = delete;

  // First, once: the message is there, in memory that the interface holds. RESOURCE_EXHAUSTED where it must be refused
  // because too many bytes are in flight.
  absl::Status Receive(std::int64_t message_size_bytes);

  // Then: what understanding the message will take beyond it. RESOURCE_EXHAUSTED as above.
  absl::Status ReserveForParsing(std::int64_t size_bytes);

  // For what the message says of its own time. The earlier of the two counts.
  void LimitDeadline(absl::Time deadline) { deadline_ = std::min(deadline_, deadline); }
  absl::Time deadline() const { return deadline_; }

  // Then, at most once: checks the problem, reserves all that it will hold, and allocates it. Where the result is not
  // OK, it is the caller's answer. RESOURCE_EXHAUSTED also where the answer is larger than `max_answer_bytes`.
  absl::StatusOr<InputMemory> Open(const core::ProblemDescription& description, std::int64_t max_answer_bytes);
  // After Open: what it has reserved for inputs and answer.
  std::int64_t held_bytes() const { return held_bytes_; }

  // After Open: the interface holds the message no more.
  void ReleaseMessage() { message_ = Reservation(); }

  // Then, at most once: all elements are in place, and are computed on. `parsed_size_bytes` is how many bytes of the
  // message were copied to understand it.
  void Compute(std::int64_t parsed_size_bytes, Done done);

  // After `done`: since the engine was done.
  double EncodeSeconds() const;
  // After `done`: the answer was handed on.
  void EndEncode(std::int64_t sent_bytes);

  // The caller went away: drops what is left to compute. Any time, from any thread.
  void Cancel() { cancellation_->Cancel(); }

 private:
  using Clock = std::chrono::steady_clock;

  struct Inputs {
    // Given back after the buffers, which is why it comes first.
    Reservation reservation;
    TensorMemory query;
    TensorMemory key;
    TensorMemory value;
    TensorMemory mask;
  };

  absl::Status Reserve(const core::ProblemDescription& description);
  absl::Status Allocate(const core::ProblemDescription& description);
  void OnComputed(absl::StatusOr<core::Report> report, const Done& done);
  // Says DEADLINE_EXCEEDED for a CANCELLED that stems from the deadline: gRPC tells of both alike.
  absl::Status Explain(absl::Status status) const;

  const AttendContext context_;
  absl::Time deadline_;
  const std::shared_ptr<core::Cancellation> cancellation_ = std::make_shared<core::Cancellation>();

  bool received_ = false;
  Clock::time_point received_at_;
  Clock::time_point computed_at_;
  Reservation message_;
  std::int64_t held_bytes_ = 0;
  std::optional<Inputs> inputs_;  // from Open until the engine is done
  std::shared_ptr<Answer> answer_;
};

}  // namespace attnd::server
