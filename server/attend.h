// The one way of a request, above every interface: admission, check, memory, engine, figures. An interface translates
// its messages to and from core/problem and does nothing else.
//
//   AttendCall call(context, deadline);
//   call.Receive(message_size_bytes);  // the message has arrived
//   auto memory = call.Open(description, max_answer_bytes);  // what it says; where its elements go
//   … the elements are put there …
//   call.Compute(parsed_size_bytes, done);
//   … done(answer), on a worker or before Compute returns …
//   call.EncodeSeconds();
//   call.EndEncode(sent_bytes);  // the answer has been handed on
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/problem.h"
#include "core/report.h"
#include "core/tensors.h"
#include "server/admission.h"
#include "server/request_call.h"
#include "server/tensor_memory.h"

namespace attnd::server {

// Where a request's elements go. Each points to as many bytes as the description said; null where that was none.
using InputMemory = core::PerInput<std::byte*>;

// What was computed. Whoever sends it shares it until its last byte has left: its bytes count as in flight until then.
struct Answer {
  // Given back after the tensors, which is why it comes first.
  Reservation reservation;
  // Empty where not asked for.
  core::PerOutput<TensorMemory> tensors;
  core::PerOutput<core::AnswerTensor> descriptions;

  core::Report report;
  double decode_seconds = 0;
};

// One request. Not thread-safe, except for Cancel. After Compute it must live until `done` has run.
class AttendCall : public RequestCall {
 public:
  // Runs exactly once, on a worker or within some call's Compute, and must not block, nor take a lock that anybody
  // holds who calls that. The statuses are those of core::Engine::Start.
  using Done = std::function<void(absl::StatusOr<std::shared_ptr<const Answer>>)>;

  AttendCall(const AttendContext& context, absl::Time deadline) : RequestCall(context, deadline) {}

  // After Receive, at most once: checks the problem, reserves all that it will hold, and allocates it. Where the result
  // is not OK, it is the caller's answer. RESOURCE_EXHAUSTED also where the answer is larger than `max_answer_bytes`.
  absl::StatusOr<InputMemory> Open(const core::ProblemDescription& description, std::int64_t max_answer_bytes);
  // After Open: what it has reserved for inputs and answer.
  std::int64_t held_bytes() const { return held_bytes_; }

  // Then, at most once: all elements are in place, and are computed on. `parsed_size_bytes` is how many bytes of the
  // message were copied to understand it.
  void Compute(std::int64_t parsed_size_bytes, Done done);

 private:
  struct Inputs {
    // Given back after the tensors, which is why it comes first.
    Reservation reservation;
    core::PerInput<TensorMemory> tensors;
    core::Problem problem;
  };

  absl::Status Reserve(const core::ProblemDescription& description);
  absl::Status Allocate(const core::ProblemDescription& description);
  void OnComputed(absl::StatusOr<core::Report> report, const Done& done);

  std::int64_t held_bytes_ = 0;
  std::optional<Inputs> inputs_;  // from Open until the engine is done
  std::shared_ptr<Answer> answer_;
};

}  // namespace attnd::server
