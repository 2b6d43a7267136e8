// MergePartials' messages: from partial results to the request, and from the response to the merged one.
#pragma once

#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>

#include <vector>

#include "client/cpp/attention.h"

namespace attnd {

// INVALID_ARGUMENT where there is no part, a view is no tensor, or one is not of the first part's type and shape;
// RESOURCE_EXHAUSTED where the message would not fit 2 GiB.
absl::StatusOr<v1::MergePartialsRequest> EncodeMerge(const std::vector<PartialResult>& parts);

// INTERNAL where the response contradicts itself.
absl::StatusOr<MergedResult> DecodeMerge(const v1::MergePartialsResponse& response);

}  // namespace attnd
