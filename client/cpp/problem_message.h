// From a request's options to the message that describes them.
#pragma once

#include <absl/status/status.h>
#include <attnd/v1/attention.pb.h>

#include "client/cpp/attention.h"

namespace attnd {

// INVALID_ARGUMENT for an option of which the message could not hold that it was given: the server would compute
// something else.
absl::Status CheckSayable(const AttendRequest& request);

// All but the tensors, which are described by request_tensors.h.
v1::AttentionProblem DescribeOptions(const AttendRequest& request);

v1::ElementType ToProto(ElementType type);

}  // namespace attnd
