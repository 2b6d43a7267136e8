// From the interface's problem to the core's description of one.
#pragma once

#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>

#include <cstdint>

#include "core/problem.h"
#include "core/tensors.h"

namespace attnd::server::attnd_v1 {

// INVALID_ARGUMENT where a part that only the interface has is missing or contradicts another: the problem itself
// (null), a message in it, a member of the oneof, an element type, a layout beside a ragged batch. `problem` has passed
// CheckKnownFields. The rest is checked by core::CheckProblem. `size_bytes` says how many bytes there are for each
// tensor; 0 where there are none, or none were mentioned, which the format does not tell apart.
absl::StatusOr<core::ProblemDescription> ToDescription(const v1::AttentionProblem* problem,
                                                       const core::PerInput<std::int64_t>& size_bytes);

}  // namespace attnd::server::attnd_v1
