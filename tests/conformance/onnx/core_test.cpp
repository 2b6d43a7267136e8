// ONNX's cases computed by the core itself.
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <utility>

#include "core/engine.h"
#include "tests/conformance/onnx/all_cases.h"

namespace attnd::test {
namespace {

using core::Input;
using core::Output;

core::TensorDescription Describe(const HeldArray& array) {
  static const std::map<cli::DataType, core::ElementType> types = {
      {cli::DataType::kFloat32, core::ElementType::kFloat32},
      {cli::DataType::kBfloat16, core::ElementType::kBfloat16},
      {cli::DataType::kFloat16, core::ElementType::kFloat16},
      {cli::DataType::kBool, core::ElementType::kBool}};
  return {types.at(array.type), core::Shape(array.shape.begin(), array.shape.end())};
}

void DescribeMasks(const AttentionCall& call, core::ProblemDescription& description) {
  core::PositionOptions positions;
  positions.offsets = call.offsets;
  if (!call.offsets) positions.alignment = core::Alignment::kTopLeft;
  core::MaskOptions& mask = description.mask;
  const bool has_window = call.window_left || call.window_right;
  if (has_window) mask.window = {.left = call.window_left, .right = call.window_right};
  if (call.is_causal) {
    mask.causal = {.positions = positions, .prefix_lengths = {}};
  } else if (has_window) {
    description.positions = positions;
  }
  mask.key_lengths = call.key_lengths;
  if (call.mask) mask.boolean = Describe(*call.mask);
}

core::ProblemDescription Describe(const AttentionCall& call) {
  core::ProblemDescription description{
      .query = Describe(call.query),
      .key = Describe(call.key),
      .value = Describe(call.value),
      .layout = call.is_sequence_before_heads ? core::Layout::kBshd : core::Layout::kBhsd,
      .scale = call.scale};
  DescribeMasks(call, description);
  if (call.bias) description.modifiers.bias = Describe(*call.bias);
  description.modifiers.soft_cap = call.soft_cap;
  if (call.matrix) {
    static const std::map<CallStage, core::MatrixStage> stages = {
        {CallStage::kScaled, core::MatrixStage::kScaled},
        {CallStage::kSoftCapped, core::MatrixStage::kSoftCapped},
        {CallStage::kMasked, core::MatrixStage::kMasked},
        {CallStage::kWeights, core::MatrixStage::kWeights}};
    description.summaries.matrix = {.stage = stages.at(*call.matrix), .element_type = description.query.element_type};
  }
  const auto note_size = [&](Input input, const HeldArray& array) {
    description.size_bytes[input] = static_cast<std::int64_t>(array.bytes.size());
  };
  note_size(Input::kQuery, call.query);
  note_size(Input::kKey, call.key);
  note_size(Input::kValue, call.value);
  if (call.mask) note_size(Input::kMask, *call.mask);
  if (call.bias) note_size(Input::kBias, *call.bias);
  return description;
}

// Room for an output, of the query's type.
HeldArray MakeOutput(const core::AnswerTensor& tensor, cli::DataType type) {
  return {type, Shape(tensor.description.shape.begin(), tensor.description.shape.end()),
          std::vector<std::byte>(static_cast<std::size_t>(tensor.size_bytes))};
}

AttentionCallAnswer AttendInTheCore(core::Engine& engine, const AttentionCall& call) {
  const auto problem = core::CheckProblem(Describe(call), {});
  if (!problem.ok()) throw std::runtime_error(problem.status().ToString());
  AttentionCallAnswer answer{
      .output = MakeOutput(problem->answer[Output::kOutput], call.query.type), .matrix = {}, .kernel = {}};
  core::Tensors tensors{.query = call.query.bytes.data(),
                        .key = call.key.bytes.data(),
                        .value = call.value.bytes.data(),
                        .output = answer.output.bytes.data()};
  if (call.mask) tensors.mask = reinterpret_cast<const std::uint8_t*>(call.mask->bytes.data());
  if (call.bias) tensors.bias = call.bias->bytes.data();
  if (call.matrix) {
    answer.matrix = MakeOutput(problem->answer[Output::kMatrix], call.query.type);
    tensors.matrix = answer.matrix->bytes.data();
  }
  const auto report = engine.Run(*problem, tensors);
  if (!report.ok()) throw std::runtime_error(report.status().ToString());
  answer.kernel = report->kernel;
  return answer;
}

TEST(OnnxTest, AllCasesHoldInTheCore) {
  core::Engine engine({.worker_count = 1});
  ExpectAllOnnxCases([&](const AttentionCall& call) { return AttendInTheCore(engine, call); });
}

}  // namespace
}  // namespace attnd::test
