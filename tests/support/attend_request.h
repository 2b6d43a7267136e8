// A case as the messages of attnd.v1.
#pragma once

#include <attnd/v1/attention.pb.h>

#include "tests/support/attention_case.h"
#include "tests/support/reference.h"

namespace attnd::test {

v1::AttentionProblem ToProblem(const core::ProblemDescription& description);
// The case must be a valid one.
v1::AttendRequest ToRequest(const AttentionCase& attention);

// The answer's elements as numbers, each of the tensors that it holds.
Answer ToAnswer(const v1::AttendResponse& response);

// Query heads, grouped keys, every option and every mask: all fields that a request has. Small: 4 KiB or so.
AttentionCase CaseWithEverything();

}  // namespace attnd::test
