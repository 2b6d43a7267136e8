#include "tests/conformance/onnx/attention_call.h"

#include <array>
#include <set>
#include <stdexcept>
#include <utility>

namespace attnd::test {
namespace {

void CheckNames(const OnnxCase& onnx) {
  static const std::set<std::string> attributes = {
      "is_causal", "kv_num_heads",      "left_window_size", "q_num_heads",      "qk_matmul_output_mode",
      "scale",     "right_window_size", "softcap",          "softmax_precision"};
  static const std::set<std::string> inputs = {
      "Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen"};
  for (const auto& [name, value] : onnx.attributes) {
    if (!attributes.contains(name)) throw std::invalid_argument(onnx.name + " has the unknown attribute " + name);
  }
  for (const auto& [name, array] : onnx.inputs) {
    if (!inputs.contains(name)) throw std::invalid_argument(onnx.name + " has the unknown input " + name);
  }
}

// [B, S, H·D] as [B, S, H, D]; what has four dimensions stays [B, H, S, D].
HeldArray SplitHeads(const OnnxCase& onnx, const std::string& input, const std::string& heads_attribute) {
  const cli::Array& array = onnx.inputs.at(input);
  if (array.shape.size() == 4) return Hold(array);
  const auto heads = static_cast<std::int64_t>(onnx.Attribute(heads_attribute).value());
  return Reshape(array, {array.shape[0], array.shape[1], heads, array.shape[2] / heads});
}

// Past keys or values, which are [B, H, P, D] always, come before the new ones.
HeldArray WithPast(const OnnxCase& onnx, const std::string& past_input, HeldArray now, bool is_sequence_before_heads) {
  const cli::Array* const past = onnx.Input(past_input);
  if (past == nullptr) return now;
  if (is_sequence_before_heads) return Join(SwapHeadsAndSequence(*past).view(), now.view(), 1);
  return Join(*past, now.view(), 2);
}

void PlaceTensors(const OnnxCase& onnx, AttentionCall& call) {
  call.is_sequence_before_heads = onnx.inputs.at("Q").shape.size() == 3;
  call.query = SplitHeads(onnx, "Q", "q_num_heads");
  call.key = WithPast(onnx, "past_key", SplitHeads(onnx, "K", "kv_num_heads"), call.is_sequence_before_heads);
  call.value = WithPast(onnx, "past_value", SplitHeads(onnx, "V", "kv_num_heads"), call.is_sequence_before_heads);
}

// The first query row stands behind the past keys, or so that the last one stands at the last key that is no padding.
std::optional<std::vector<std::int64_t>> Offsets(const OnnxCase& onnx, const AttentionCall& call) {
  if (const cli::Array* const past = onnx.Input("past_key")) {
    return std::vector<std::int64_t>(static_cast<std::size_t>(past->shape[0]), past->shape[2]);
  }
  if (!call.key_lengths) return std::nullopt;
  std::vector<std::int64_t> offsets = *call.key_lengths;
  for (std::int64_t& offset : offsets) offset -= call.query.shape[call.is_sequence_before_heads ? 1 : 2];
  return offsets;
}

// -1, which is also the default, leaves a side open.
std::optional<std::int64_t> WindowSide(const OnnxCase& onnx, const std::string& attribute) {
  const double size = onnx.Attribute(attribute).value_or(-1);
  return size < 0 ? std::nullopt : std::optional(static_cast<std::int64_t>(size));
}

void PlaceMasks(const OnnxCase& onnx, AttentionCall& call) {
  if (const cli::Array* const mask = onnx.Input("attn_mask")) {
    (mask->type == cli::DataType::kBool ? call.mask : call.bias) = Hold(*mask);
  }
  if (const cli::Array* const lengths = onnx.Input("nonpad_kv_seqlen")) {
    call.key_lengths = cli::ToIntegers(*lengths, "nonpad_kv_seqlen").value();
  }
  call.is_causal = onnx.Attribute("is_causal").value_or(0) != 0;
  call.window_left = WindowSide(onnx, "left_window_size");
  call.window_right = WindowSide(onnx, "right_window_size");
  call.offsets = Offsets(onnx, call);
}

}  // namespace

AttentionCall ToCall(const OnnxCase& onnx) {
  static constexpr std::array kStageOfMode = {CallStage::kScaled, CallStage::kSoftCapped, CallStage::kMasked,
                                              CallStage::kWeights};
  CheckNames(onnx);
  AttentionCall call;
  PlaceTensors(onnx, call);
  PlaceMasks(onnx, call);
  call.scale = onnx.Attribute("scale");
  if (const double soft_cap = onnx.Attribute("softcap").value_or(0); soft_cap != 0) call.soft_cap = soft_cap;
  if (onnx.outputs.contains("qk_matmul_output")) {
    call.matrix = kStageOfMode.at(static_cast<std::size_t>(onnx.Attribute("qk_matmul_output_mode").value_or(0)));
  }
  return call;
}

std::map<std::string, HeldArray> ToOnnxOutputs(const OnnxCase& onnx, const AttentionCall& call,
                                               const AttentionCallAnswer& answer) {
  const auto heads_first = [&](const HeldArray& array) {
    return call.is_sequence_before_heads ? SwapHeadsAndSequence(array.view()) : array;
  };
  std::map<std::string, HeldArray> outputs;
  for (const auto& [name, expected] : onnx.outputs) {
    if (name == "Y") {
      const Shape& shape = answer.output.shape;
      outputs[name] = call.is_sequence_before_heads
                          ? Reshape(answer.output.view(), {shape.at(0), shape.at(1), shape.at(2) * shape.at(3)})
                          : answer.output;
    } else if (name == "present_key") {
      outputs[name] = heads_first(call.key);
    } else if (name == "present_value") {
      outputs[name] = heads_first(call.value);
    } else if (name == "qk_matmul_output") {
      outputs[name] = answer.matrix.value();
    } else {
      throw std::invalid_argument(onnx.name + " expects the unknown output " + name);
    }
  }
  return outputs;
}

}  // namespace attnd::test
