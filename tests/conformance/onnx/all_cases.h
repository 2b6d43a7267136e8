// Every one of ONNX's cases, on its way through something that answers calls.
#pragma once

#include <functional>

#include "tests/conformance/onnx/attention_call.h"

namespace attnd::test {

using AnswerCall = std::function<AttentionCallAnswer(const AttentionCall&)>;

// Holds all outputs of all cases against ONNX's, within ONNX's tolerances, and prints how many cases hold, of how many
// that the vectors have. One that does not fails the test, with its name and the first difference.
void ExpectAllOnnxCases(const AnswerCall& answer);

}  // namespace attnd::test
