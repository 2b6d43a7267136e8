// ONNX's cases computed by the core itself.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <stdexcept>
#include <vector>

#include "core/engine.h"
#include "tests/conformance/onnx/all_cases.h"
#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"

namespace attnd::test {
namespace {

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
  return description;
}

std::vector<double> Numbers(const HeldArray& array) {
  std::vector<double> numbers(static_cast<std::size_t>(array.view().element_count()));
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    numbers[n] = cli::ElementAsFloat64(array.view(), static_cast<std::int64_t>(n));
  }
  return numbers;
}

AttentionCase ToCase(const AttentionCall& call) {
  AttentionCase attention;
  attention.description = Describe(call);
  attention.query = Numbers(call.query);
  attention.key = Numbers(call.key);
  attention.value = Numbers(call.value);
  if (call.bias) attention.bias = Numbers(*call.bias);
  if (call.mask) {
    const std::vector<double> mask = Numbers(*call.mask);
    attention.mask.assign(mask.begin(), mask.end());
  }
  core::PerInput<std::int64_t>& sizes = attention.description.size_bytes;
  sizes[core::Input::kQuery] = std::ssize(call.query.bytes);
  sizes[core::Input::kKey] = std::ssize(call.key.bytes);
  sizes[core::Input::kValue] = std::ssize(call.value.bytes);
  if (call.mask) sizes[core::Input::kMask] = std::ssize(call.mask->bytes);
  if (call.bias) sizes[core::Input::kBias] = std::ssize(call.bias->bytes);
  return attention;
}

// An output, which is of the query's type.
HeldArray Take(const core::AnswerTensor& tensor, const void* elements, cli::DataType type) {
  HeldArray output{type, Shape(tensor.description.shape.begin(), tensor.description.shape.end()),
                   std::vector<std::byte>(static_cast<std::size_t>(tensor.size_bytes))};
  std::memcpy(output.bytes.data(), elements, output.bytes.size());
  return output;
}

AttentionCallAnswer AttendInTheCore(const AttentionCall& call) {
  EngineCall held(ToCase(call));
  const auto report = SharedEngine().Run(held.problem(), held.tensors());
  if (!report.ok()) throw std::runtime_error(report.status().ToString());
  const core::PerOutput<core::AnswerTensor>& answer = held.problem().answer;
  AttentionCallAnswer taken{.output = Take(answer[core::Output::kOutput], held.tensors().output, call.query.type),
                            .matrix = {},
                            .kernel = report->kernel};
  if (call.matrix) taken.matrix = Take(answer[core::Output::kMatrix], held.tensors().matrix, call.query.type);
  return taken;
}

TEST(OnnxTest, AllCasesHoldInTheCore) { ExpectAllOnnxCases(AttendInTheCore); }

// Which is far narrower than ONNX's tolerances: the bound that README.md states for every result.
TEST(OnnxTest, AllCasesAreWithinTheErrorBound) {
  const OnnxCases loaded = LoadOnnxCases();
  for (const OnnxCase& onnx : loaded.cases) {
    SCOPED_TRACE(onnx.name);
    AttentionCase attention = ToCase(ToCall(onnx));
    attention.description.summaries = {};
    attention.description.return_weights = true;
    attention.description.return_log_sum_exp = true;
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

}  // namespace
}  // namespace attnd::test
