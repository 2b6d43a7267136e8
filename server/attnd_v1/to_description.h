// From the interface's problem to the core's description of one.
#pragma once

#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>

#include <cstdint>

#include "core/problem.h"

namespace attnd::server::attnd_v1 {

// How many bytes there are for each tensor; 0 where there are none, or none were mentioned, which the format does not
// tell apart.
struct PayloadSizes {
  std::int64_t query_size_bytes = 0;
  std::int64_t key_size_bytes = 0;
  std::int64_t value_size_bytes = 0;
  std::int64_t mask_size_bytes = 0;
};

// INVALID_ARGUMENT where a part that only the interface has is missing: the problem itself (null), a message in it, a
// member of the oneof, an element type. `problem` has passed CheckKnownFields. The rest is checked by
// core::CheckProblem.
absl::StatusOr<core::ProblemDescription> ToDescription(const v1::AttentionProblem* problem, const PayloadSizes& sizes);

}  // namespace attnd::server::attnd_v1
