// ONNX's cases computed by a server, as its C++ client asks for them.
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "client/cpp/client.h"
#include "tests/conformance/onnx/all_cases.h"
#include "tests/server/running_server.h"

namespace attnd::test {
namespace {

// Good while the array lives.
TensorView View(const HeldArray& array) { return cli::ToTensorView(array.view(), "array").value(); }

HeldArray Take(const Tensor& tensor) { return Hold(cli::ToArray(tensor)); }

void SayMasks(const AttentionCall& call, AttendRequest& request) {
  MaskOptions& mask = request.mask;
  const bool has_window = call.window_left || call.window_right;
  if (has_window) mask.window = {.left = call.window_left, .right = call.window_right};
  if (call.is_causal) {
    mask.causal_offsets = call.offsets;
    if (!call.offsets) mask.causal = CausalAlignment::kTopLeft;
  } else if (has_window) {
    request.positions = {.alignment = call.offsets ? CausalAlignment::kUnspecified : CausalAlignment::kTopLeft,
                         .offsets = call.offsets};
  }
  mask.key_lengths = call.key_lengths;
  if (call.mask) mask.boolean = View(*call.mask);
}

AttendRequest ToRequest(const AttentionCall& call) {
  AttendRequest request{.query = View(call.query),
                        .key = View(call.key),
                        .value = View(call.value),
                        .layout = call.is_sequence_before_heads ? Layout::kBshd : Layout::kBhsd,
                        .scale = call.scale,
                        .soft_cap = call.soft_cap};
  SayMasks(call, request);
  if (call.bias) request.bias = View(*call.bias);
  if (call.matrix) {
    static const std::map<CallStage, MatrixStage> stages = {{CallStage::kScaled, MatrixStage::kScaled},
                                                            {CallStage::kSoftCapped, MatrixStage::kSoftCapped},
                                                            {CallStage::kMasked, MatrixStage::kMasked},
                                                            {CallStage::kWeights, MatrixStage::kWeights}};
    request.summaries.matrix = {.stage = stages.at(*call.matrix), .element_type = request.query.element_type};
  }
  return request;
}

AttentionCallAnswer AttendAtAServer(Client& client, const AttentionCall& call) {
  const auto result = client.Attend(ToRequest(call), {.deadline = absl::Now() + absl::Minutes(1)});
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  AttentionCallAnswer answer{.output = Take(result->output), .matrix = {}, .kernel = result->report.kernel};
  if (result->matrix) answer.matrix = Take(*result->matrix);
  return answer;
}

TEST(OnnxTest, AllCasesHoldOverGrpc) {
  const RunningServer server;
  Client client(server.address());
  ExpectAllOnnxCases([&](const AttentionCall& call) { return AttendAtAServer(client, call); });
}

}  // namespace
}  // namespace attnd::test
