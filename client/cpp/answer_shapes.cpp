#include "client/cpp/answer_shapes.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "client/cpp/response_message.h"

namespace attnd {
namespace {

std::string ToString(const std::optional<TypedShape>& tensor) {
  if (!tensor) return "not there";
  return absl::StrCat(ElementTypeName(tensor->element_type), " ", attnd::ToString(tensor->shape));
}

// What an answer's shapes are made of, heads before rows whatever the layout. A dimension that the query does not have
// is empty: it adds nothing.
struct Dimensions {
  Shape batch = {};
  Shape heads = {};
  Shape rows = {};        // Sq, or Tq
  std::int64_t keys = 0;  // Sk
  // Of summaries: of what is chosen.
  Shape chosen_batch = {};
  Shape chosen_heads = {};
  Shape chosen_rows = {};
  std::int64_t received_keys = 0;  // Sk, or Tk
  Shape map_batch = {};            // as chosen_batch, or B where the batch is ragged
};

Shape Join(std::initializer_list<Shape> parts) {
  Shape shape;
  for (const Shape& part : parts) shape.insert(shape.end(), part.begin(), part.end());
  return shape;
}

// The keys of the longest sequence. Nothing where the offsets do not start at 0 and rise.
std::optional<std::int64_t> LongestSequence(const std::vector<std::int64_t>& offsets) {
  if (offsets.size() < 2 || offsets.front() != 0 || !std::ranges::is_sorted(offsets)) return std::nullopt;
  std::int64_t longest = 0;
  for (std::size_t b = 1; b < offsets.size(); ++b) longest = std::max(longest, offsets[b] - offsets[b - 1]);
  return longest;
}

std::optional<Dimensions> RaggedDimensionsOf(const AttendRequest& request) {
  const Shape& query = request.query.shape;
  if (query.size() != 3) return std::nullopt;
  const auto longest = LongestSequence(request.ragged->key_offsets);
  if (!longest) return std::nullopt;
  return Dimensions{.heads = {query[1]},
                    .rows = {query[0]},
                    .keys = *longest,
                    .received_keys = request.key.shape[0],
                    .map_batch = {static_cast<std::int64_t>(request.ragged->key_offsets.size()) - 1}};
}

std::optional<Dimensions> PaddedDimensionsOf(const AttendRequest& request) {
  const Shape& query = request.query.shape;
  const std::size_t rank = query.size();
  if (rank < 2 || rank > 4) return std::nullopt;
  const bool heads_last = rank == 4 && request.layout == Layout::kBshd;
  const std::size_t row = heads_last ? 1 : rank - 2;
  Dimensions dimensions{.rows = {query[row]}, .keys = request.key.shape[row], .received_keys = request.key.shape[row]};
  if (rank > 2) dimensions.batch = dimensions.map_batch = {query[0]};
  if (rank == 4) dimensions.heads = {query[heads_last ? 2 : 1]};
  return dimensions;
}

// Where numbers are chosen, there are as many; a dimension that the query does not have stays away.
void Choose(const Shape& whole, const std::vector<std::int64_t>& numbers, Shape& chosen) {
  chosen = whole;
  if (!whole.empty() && !numbers.empty()) chosen = {static_cast<std::int64_t>(numbers.size())};
}

std::optional<Dimensions> DimensionsOf(const AttendRequest& request) {
  const std::size_t rank = request.query.shape.size();
  if (request.key.shape.size() != rank || request.value.shape.size() != rank) return std::nullopt;
  auto dimensions = request.ragged ? RaggedDimensionsOf(request) : PaddedDimensionsOf(request);
  if (!dimensions) return std::nullopt;
  const Summaries& summaries = request.summaries;
  Choose(dimensions->batch, summaries.batch_entries, dimensions->chosen_batch);
  if (!request.ragged) dimensions->map_batch = dimensions->chosen_batch;
  Choose(dimensions->heads, summaries.heads, dimensions->chosen_heads);
  if (summaries.head_reduction != HeadReduction::kNone) dimensions->chosen_heads.clear();
  Choose(dimensions->rows, summaries.query_rows, dimensions->chosen_rows);
  return dimensions;
}

void AddSummaries(const Summaries& options, const Dimensions& dimensions, AnswerShapes& shapes) {
  const Shape rows = Join({dimensions.chosen_batch, dimensions.chosen_heads, dimensions.chosen_rows});
  const auto add = [&shapes](bool is_wanted, Output output, Shape shape, ElementType type = ElementType::kFloat32) {
    if (is_wanted) shapes[output] = TypedShape{type, std::move(shape)};
  };
  if (options.matrix) {
    add(true, Output::kMatrix, Join({rows, {dimensions.keys}}),
        options.matrix->element_type.value_or(ElementType::kFloat32));
  }
  const Shape top = Join({rows, {options.top_keys}});
  add(options.top_keys > 0, Output::kTopKeys, top, ElementType::kInt32);
  add(options.top_keys > 0, Output::kTopWeights, top);
  add(options.entropy, Output::kEntropy, rows);
  add(options.largest_weight, Output::kLargestWeight, rows);
  add(options.first_keys > 0, Output::kFirstKeysWeight, rows);
  add(options.mean_distance, Output::kMeanDistance, rows);
  const Shape received = Join({dimensions.chosen_batch, dimensions.chosen_heads, {dimensions.received_keys}});
  add(options.received_sum, Output::kReceivedSum, received);
  add(options.received_maximum, Output::kReceivedMaximum, received);
  if (options.pooled_map) {
    add(true, Output::kPooledMap,
        Join({dimensions.map_batch, dimensions.chosen_heads, {options.pooled_map->rows, options.pooled_map->columns}}));
  }
}

}  // namespace

std::optional<AnswerShapes> ShapesOfAnswer(const AttendRequest& request) {
  const auto dimensions = DimensionsOf(request);
  if (!dimensions) return std::nullopt;
  AnswerShapes shapes;
  Shape output = request.query.shape;
  output.back() = request.value.shape.back();
  shapes[Output::kOutput] = TypedShape{request.query.element_type, std::move(output)};
  const Shape rows = Join({dimensions->batch, dimensions->heads, dimensions->rows});
  if (request.return_log_sum_exp) shapes[Output::kLogSumExp] = TypedShape{ElementType::kFloat32, rows};
  if (request.return_weights) {
    shapes[Output::kWeights] = TypedShape{ElementType::kFloat32, Join({rows, {dimensions->keys}})};
  }
  AddSummaries(request.summaries, *dimensions, shapes);
  return shapes;
}

AnswerShapes ShapesOf(const AttendResult& result) {
  AnswerShapes shapes;
  for (const OutputTensor& tensor : OutputTensors()) {
    const Tensor* const found = Find(result, tensor.output);
    if (found != nullptr) shapes[tensor.output] = TypedShape{found->element_type(), found->shape()};
  }
  return shapes;
}

absl::StatusOr<AnswerShapes> ShapesOf(const v1::AttentionResult& result) {
  AnswerShapes shapes;
  for (const OutputTensor& tensor : OutputTensors()) {
    const v1::TensorDescription* const description = tensor.description(result);
    if (description == nullptr) continue;
    const auto type = FromProto(description->element_type(), tensor.name);
    if (!type.ok()) return type.status();
    shapes[tensor.output] = TypedShape{*type, Shape(description->shape().begin(), description->shape().end())};
  }
  return shapes;
}

absl::Status CheckShapes(const AnswerShapes& expected, const AnswerShapes& found) {
  for (const OutputTensor& tensor : OutputTensors()) {
    if (found[tensor.output] == expected[tensor.output]) continue;
    return absl::InternalError(absl::StrCat("the server's answer contradicts the request: ", tensor.name, " is ",
                                            ToString(found[tensor.output]), ", expected ",
                                            ToString(expected[tensor.output])));
  }
  return absl::OkStatus();
}

std::size_t SizeBytes(const AnswerShapes& shapes) {
  static constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  std::size_t sum_bytes = 0;
  for (const OutputTensor& tensor : OutputTensors()) {
    const std::optional<TypedShape>& shape = shapes[tensor.output];
    if (!shape) continue;
    const std::size_t size_bytes = SizeBytes(shape->element_type, shape->shape, tensor.name).value_or(kMost);
    sum_bytes = size_bytes > kMost - sum_bytes ? kMost : sum_bytes + size_bytes;
  }
  return sum_bytes;
}

}  // namespace attnd
