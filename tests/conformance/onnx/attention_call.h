// ONNX's operator Attention, said as one call of the interface. What is left to this side is to place bytes: heads of
// 3-D inputs are told apart, past keys and values are put before the new ones. All that is computed, the service does.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/conformance/onnx/held_array.h"
#include "tests/conformance/onnx/onnx_case.h"

namespace attnd::test {

// As attention.proto's MatrixStage.
enum class CallStage : std::uint8_t { kScaled, kSoftCapped, kMasked, kWeights };

// In the interface's terms, but of neither core nor client: each has its own types for them.
struct AttentionCall {
  HeldArray query;
  HeldArray key;
  HeldArray value;
  bool is_sequence_before_heads = false;  // LAYOUT_BSHD instead of LAYOUT_BHSD
  std::optional<double> scale;
  std::optional<double> soft_cap;
  std::optional<HeldArray> mask;
  std::optional<HeldArray> bias;
  std::optional<std::vector<std::int64_t>> key_lengths;
  bool is_causal = false;
  std::optional<std::int64_t> window_left;
  std::optional<std::int64_t> window_right;
  // Where the query rows stand, for the causal mask and the window: one offset a batch entry; without, the top left.
  std::optional<std::vector<std::int64_t>> offsets;
  // Asked for in the query's type.
  std::optional<CallStage> matrix;
};

struct AttentionCallAnswer {
  HeldArray output;
  std::optional<HeldArray> matrix;
  std::string kernel;
};

// Throws where the case has what this does not know.
AttentionCall ToCall(const OnnxCase& onnx);

// The operator's outputs by ONNX's names, as many as the case expects.
std::map<std::string, HeldArray> ToOnnxOutputs(const OnnxCase& onnx, const AttentionCall& call,
                                               const AttentionCallAnswer& answer);

}  // namespace attnd::test
