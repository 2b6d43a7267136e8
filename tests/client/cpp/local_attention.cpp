#include "tests/client/cpp/local_attention.h"

#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "client/cpp/request_tensors.h"
#include "client/cpp/result_tensors.h"
#include "tests/support/combinations.h"
#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

core::TensorDescription ToCore(const TensorView& view) {
  return {static_cast<core::ElementType>(view.element_type), {view.shape.begin(), view.shape.end()}};
}

std::optional<core::TensorDescription> ToCore(const std::optional<TensorView>& view) {
  if (!view) return std::nullopt;
  return ToCore(*view);
}

// On the wire an alignment that is not specified is none.
std::optional<core::Alignment> ToCore(CausalAlignment alignment) {
  if (alignment == CausalAlignment::kUnspecified) return std::nullopt;
  return static_cast<core::Alignment>(alignment);
}

core::MaskOptions ToCore(const MaskOptions& mask) {
  core::MaskOptions options;
  if (mask.causal || mask.causal_offsets || mask.causal_prefix_lengths) {
    core::CausalOptions& causal = options.causal.emplace();
    causal.positions.alignment = ToCore(mask.causal.value_or(CausalAlignment::kUnspecified));
    causal.positions.offsets = mask.causal_offsets;
    if (mask.causal_prefix_lengths) causal.prefix_lengths = *mask.causal_prefix_lengths;
  }
  options.key_lengths = mask.key_lengths;
  options.query_lengths = mask.query_lengths;
  options.boolean = ToCore(mask.boolean);
  if (mask.window) options.window = core::WindowOptions{.left = mask.window->left, .right = mask.window->right};
  if (mask.segments) {
    options.segments = core::SegmentOptions{.query = ToCore(mask.segments->query), .key = ToCore(mask.segments->key)};
  }
  if (mask.blocks) {
    options.blocks = core::BlockMaskOptions{.query_block_rows = mask.blocks->query_block_rows,
                                            .key_block_keys = mask.blocks->key_block_keys,
                                            .tensor = ToCore(mask.blocks->tensor)};
  }
  return options;
}

core::ProblemDescription ToCore(const AttendRequest& request) {
  core::ProblemDescription description;
  description.query = ToCore(request.query);
  description.key = ToCore(request.key);
  description.value = ToCore(request.value);
  description.layout = static_cast<core::Layout>(request.layout);
  description.scale = request.scale;
  description.mask = ToCore(request.mask);
  if (request.positions) {
    description.positions.alignment = ToCore(request.positions->alignment);
    description.positions.offsets = request.positions->offsets;
  }
  description.modifiers = {.bias = ToCore(request.bias),
                           .alibi_slopes = request.alibi_slopes,
                           .bias_place = static_cast<core::BiasPlace>(request.bias_place),
                           .soft_cap = request.soft_cap,
                           .sinks = request.sinks.value_or(std::vector<float>{})};
  description.empty_row = static_cast<core::EmptyRow>(request.empty_row);
  description.return_weights = request.return_weights;
  description.return_log_sum_exp = request.return_log_sum_exp;
  for (const InputTensor& tensor : InputTensors()) {
    const TensorView* const view = FindView(request, tensor.input);
    if (view == nullptr) continue;
    description.size_bytes[static_cast<core::Input>(tensor.input)] =
        static_cast<std::int64_t>(SizeBytes(view->element_type, view->shape, "").value());
  }
  return description;
}

template <typename T>
const T* DataOf(const AttendRequest& request, Input input) {
  const TensorView* const view = FindView(request, input);
  return view == nullptr ? nullptr : static_cast<const T*>(view->data);
}

template <typename T>
T* DataOf(AttendResult& result, Output output) {
  Tensor* const tensor = Find(result, output);
  return tensor == nullptr ? nullptr : reinterpret_cast<T*>(tensor->data());
}

core::Tensors TensorsOf(const AttendRequest& request, AttendResult& result) {
  return {.query = request.query.data,
          .key = request.key.data,
          .value = request.value.data,
          .mask = DataOf<std::uint8_t>(request, Input::kMask),
          .bias = DataOf<void>(request, Input::kBias),
          .query_segment_ids = DataOf<std::int32_t>(request, Input::kQuerySegmentIds),
          .key_segment_ids = DataOf<std::int32_t>(request, Input::kKeySegmentIds),
          .block_mask = DataOf<std::uint8_t>(request, Input::kBlockMask),
          .output = result.output.data(),
          .weights = DataOf<float>(result, Output::kWeights),
          .log_sum_exp = DataOf<float>(result, Output::kLogSumExp)};
}

std::vector<double> Numbers(const Tensor& tensor) {
  return Decode(static_cast<core::ElementType>(tensor.element_type()), tensor.elements<std::uint8_t>(),
                tensor.size_bytes() / ElementSizeBytes(tensor.element_type()));
}

TensorView View(const core::TensorDescription& tensor, const std::vector<std::uint8_t>& bytes) {
  return {static_cast<ElementType>(tensor.element_type), {tensor.shape.begin(), tensor.shape.end()}, bytes.data()};
}

std::vector<std::uint8_t> BytesOf(const std::vector<std::int32_t>& numbers) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(numbers.data());
  return {bytes, bytes + numbers.size() * sizeof(std::int32_t)};
}

// One in so many.
bool OneIn(int count, Random& random) { return std::uniform_int_distribution<int>(1, count)(random) == 1; }

std::optional<CausalAlignment> ToClient(const std::optional<core::Alignment>& alignment) {
  if (!alignment) return std::nullopt;
  return static_cast<CausalAlignment>(*alignment);
}

// All but the tensors.
MaskOptions ToClient(const core::MaskOptions& mask) {
  MaskOptions options;
  if (mask.causal) {
    const core::CausalOptions& causal = *mask.causal;
    options.causal = ToClient(causal.positions.alignment).value_or(CausalAlignment::kUnspecified);
    options.causal_offsets = causal.positions.offsets;
    if (!causal.prefix_lengths.empty()) options.causal_prefix_lengths = causal.prefix_lengths;
  }
  options.key_lengths = mask.key_lengths;
  options.query_lengths = mask.query_lengths;
  if (mask.window) options.window = SlidingWindow{.left = mask.window->left, .right = mask.window->right};
  return options;
}

}  // namespace

LocalProblem::LocalProblem(const AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  const core::ModifierOptions& modifiers = description.modifiers;
  tensors_ = {Encode(description.query.element_type, attention.query),
              Encode(description.key.element_type, attention.key),
              Encode(description.value.element_type, attention.value),
              attention.mask,
              modifiers.bias ? Encode(modifiers.bias->element_type, attention.bias) : std::vector<std::uint8_t>{},
              BytesOf(attention.query_segment_ids),
              BytesOf(attention.key_segment_ids),
              attention.block_mask};
  const auto bytes = [this](Input input) -> const auto& { return tensors_[static_cast<std::size_t>(input)]; };
  request_.query = View(description.query, bytes(Input::kQuery));
  request_.key = View(description.key, bytes(Input::kKey));
  request_.value = View(description.value, bytes(Input::kValue));
  request_.layout = static_cast<Layout>(description.layout);
  request_.scale = description.scale;
  request_.mask = ToClient(description.mask);
  const core::MaskOptions& mask = description.mask;
  if (mask.boolean) request_.mask.boolean = View(*mask.boolean, bytes(Input::kMask));
  if (mask.segments) {
    request_.mask.segments = SegmentIds{.query = View(mask.segments->query, bytes(Input::kQuerySegmentIds)),
                                        .key = View(mask.segments->key, bytes(Input::kKeySegmentIds))};
  }
  if (mask.blocks) {
    request_.mask.blocks = BlockMask{.query_block_rows = mask.blocks->query_block_rows,
                                     .key_block_keys = mask.blocks->key_block_keys,
                                     .tensor = View(mask.blocks->tensor, bytes(Input::kBlockMask))};
  }
  if (description.positions.alignment || description.positions.offsets) {
    request_.positions =
        Positions{.alignment = ToClient(description.positions.alignment).value_or(CausalAlignment::kUnspecified),
                  .offsets = description.positions.offsets};
  }
  if (modifiers.bias) request_.bias = View(*modifiers.bias, bytes(Input::kBias));
  request_.alibi_slopes = modifiers.alibi_slopes;
  request_.bias_place = static_cast<BiasPlace>(modifiers.bias_place);
  request_.soft_cap = modifiers.soft_cap;
  if (!modifiers.sinks.empty()) request_.sinks = modifiers.sinks;
  request_.empty_row = static_cast<EmptyRow>(description.empty_row);
  request_.return_weights = description.return_weights;
  request_.return_log_sum_exp = description.return_log_sum_exp;
}

AttendResult AttendLocally(core::Engine& engine, const AttendRequest& request) {
  const auto problem = core::CheckProblem(ToCore(request), {});
  if (!problem.ok()) throw std::invalid_argument(problem.status().ToString());
  AttendResult result;
  for (const OutputTensor& output : OutputTensors()) {
    const core::AnswerTensor& tensor = problem->answer[static_cast<core::Output>(output.output)];
    if (tensor.size_bytes == 0) continue;
    const core::TensorDescription& description = tensor.description;
    Set(result, output.output,
        Tensor::Create(static_cast<ElementType>(description.element_type),
                       {description.shape.begin(), description.shape.end()}, "")
            .value());
  }
  const auto report = engine.Run(*problem, TensorsOf(request, result));
  if (!report.ok()) throw std::runtime_error(report.status().ToString());
  result.report.kernel = report->kernel;
  result.report.computed_tiles = report->computed_tiles;
  result.report.empty_rows = report->empty_rows;
  return result;
}

Answer ToAnswer(const AttendResult& result) {
  Answer answer;
  answer.output = Numbers(result.output);
  answer.empty_rows = result.report.empty_rows;
  if (result.weights) answer.weights = Numbers(*result.weights);
  if (result.log_sum_exp) answer.log_sum_exp = Numbers(*result.log_sum_exp);
  return answer;
}

std::vector<std::uint8_t> BytesOf(const AttendResult& result) {
  std::vector<std::uint8_t> bytes;
  for (const NamedTensor& named : TensorsOf(result)) {
    const auto* const begin = named.tensor->elements<std::uint8_t>();
    bytes.insert(bytes.end(), begin, begin + named.tensor->size_bytes());
  }
  return bytes;
}

AttentionCase RandomCase(Random& random) {
  constexpr std::array kTypes = {core::ElementType::kFloat32, core::ElementType::kBfloat16,
                                 core::ElementType::kFloat16};
  const auto type = kTypes[std::uniform_int_distribution<std::size_t>(0, kTypes.size() - 1)(random)];
  AttentionCase attention = RandomCombination(type, /*ragged=*/false, random);
  attention.description.return_weights = OneIn(2, random);
  attention.description.return_log_sum_exp = OneIn(2, random);
  return attention;
}

}  // namespace attnd::test
