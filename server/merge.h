// The one way of a request to merge partial results, above every interface. As server/attend.h, but computed where it
// is called: that takes no longer than copying its tensors, which is done there too.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/merge.h"
#include "server/admission.h"
#include "server/request_call.h"
#include "server/tensor_memory.h"

namespace attnd::server {

// Where the elements go. Each has room for as many bytes as the description said.
struct MergeMemory {
  std::byte* output = nullptr;
  std::byte* log_sum_exp = nullptr;
};

// The result. Its bytes count as in flight as long as it lives.
struct Merged {
  // Given back after the tensors, which is why it comes first.
  Reservation reservation;
  TensorMemory output;
  TensorMemory log_sum_exp;

  // The descriptions of the tensors above are in it.
  core::Merge merge;
};

// One request. Not thread-safe, except for Cancel.
class MergeCall : public RequestCall {
 public:
  MergeCall(const AttendContext& context, absl::Time deadline) : RequestCall(context, deadline) {}

  // After Receive, at most once: checks the description, reserves all that the request will hold, and allocates it.
  absl::StatusOr<MergeMemory> Open(const core::MergeDescription& description);

  // Then, at most once: all elements are in place. `parsed_size_bytes` is how many bytes of the message were copied to
  // understand it. DEADLINE_EXCEEDED or CANCELLED where nobody waits for it any more.
  absl::StatusOr<std::shared_ptr<const Merged>> Compute(std::int64_t parsed_size_bytes);

 private:
  // Given back after the tensors, which is why it comes first.
  Reservation inputs_;
  TensorMemory output_;
  TensorMemory log_sum_exp_;
  std::shared_ptr<Merged> merged_;
};

}  // namespace attnd::server
