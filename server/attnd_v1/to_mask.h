// From the interface's masks, and what they count from, to the core's.
#pragma once

#include <absl/status/status.h>
#include <attnd/v1/attention.pb.h>

#include "core/mask.h"

namespace attnd::server::attnd_v1 {

// INVALID_ARGUMENT where a tensor of a mask is not described. The rest is checked by core::CheckProblem.
absl::Status ToMask(const v1::Mask& mask, core::MaskOptions& result);

core::PositionOptions ToPositions(const v1::Positions& positions);

}  // namespace attnd::server::attnd_v1
