// What every request with tensors does, whatever it asks for: it is counted, its message's bytes are held against the
// limits, it has a deadline, and its caller may go away.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>

#include "core/call_options.h"
#include "core/engine.h"
#include "server/admission.h"
#include "server/kept_memory.h"
#include "server/metrics.h"
#include "server/send_queues.h"

namespace attnd::server {

// What all calls share. Everything is borrowed and must outlive every call and every answer.
struct AttendContext {
  core::Engine* engine = nullptr;
  Admission* admission = nullptr;
  KeptMemory* kept_memory = nullptr;
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

// One request. Not thread-safe, except for Cancel.
class RequestCall {
 public:
  RequestCall(const RequestCall&) = delete;
  RequestCall& operator=(const RequestCall&) = delete;

  // First, once: the message is there, in memory that the interface holds. RESOURCE_EXHAUSTED where it must be refused
  // because too many bytes are in flight.
  absl::Status Receive(std::int64_t message_size_bytes);

  // Then: what understanding the message will take beyond it. RESOURCE_EXHAUSTED as above. Held until it is computed:
  // what was understood, which may be many numbers, is needed until then.
  absl::Status ReserveForParsing(std::int64_t size_bytes);

  // For what the message says of its own time. The earlier of the two counts.
  void LimitDeadline(absl::Time deadline) { deadline_ = std::min(deadline_, deadline); }
  absl::Time deadline() const { return deadline_; }

  // The interface holds the message no more.
  void ReleaseMessage() { message_ = Reservation(); }

  // After it is computed: since then.
  double EncodeSeconds() const;
  // After it is computed: the answer was handed on.
  void EndEncode(std::int64_t sent_bytes);

  // The caller went away: drops what is left to compute. Any time, from any thread.
  void Cancel() { cancellation_->Cancel(); }

 protected:
  RequestCall(const AttendContext& context, absl::Time deadline);
  ~RequestCall();

  const AttendContext& context() const { return context_; }
  const std::shared_ptr<core::Cancellation>& cancellation() const { return cancellation_; }
  std::int64_t message_bytes() const { return message_.bytes() + parsed_.bytes(); }

  // DEADLINE_EXCEEDED or CANCELLED where nobody waits for it any more; `what` is what it then was too late for.
  absl::Status CheckIsWanted(const char* what) const;
  // Says DEADLINE_EXCEEDED for a CANCELLED that stems from the deadline: gRPC tells of both alike.
  absl::Status Explain(absl::Status status, const char* what) const;

  // The tensors are there: `copied_bytes` of the message were copied. How long that took since it arrived.
  double EndDecode(std::int64_t copied_bytes);
  // It is computed, and nothing of what was understood is needed any more.
  void EndCompute();

 private:
  using Clock = std::chrono::steady_clock;

  const AttendContext context_;
  absl::Time deadline_;
  const std::shared_ptr<core::Cancellation> cancellation_ = std::make_shared<core::Cancellation>();

  bool received_ = false;
  Clock::time_point received_at_;
  Clock::time_point computed_at_;
  Reservation message_;
  Reservation parsed_;
};

// As far as 63 bits go: a description may claim any number of bytes.
inline std::int64_t AddSizes(std::int64_t left_bytes, std::int64_t right_bytes) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(left_bytes, right_bytes, &sum) ? INT64_MAX : sum;
}

}  // namespace attnd::server
