#include "client/cpp/answer_shapes.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "client/cpp/response_message.h"

namespace attnd {
namespace {

std::string ToString(const std::optional<TypedShape>& tensor) {
  if (!tensor) return "not there";
  return absl::StrCat(ElementTypeName(tensor->element_type), " ", attnd::ToString(tensor->shape));
}

absl::Status CheckShape(absl::string_view name, const std::optional<TypedShape>& expected,
                        const std::optional<TypedShape>& found) {
  if (found == expected) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the server's answer contradicts the request: ", name, " is ",
                                          ToString(found), ", expected ", ToString(expected)));
}

absl::StatusOr<TypedShape> ShapeOf(const v1::TensorDescription& description, absl::string_view name) {
  const auto type = FromProto(description.element_type(), name);
  if (!type.ok()) return type.status();
  return TypedShape{*type, Shape(description.shape().begin(), description.shape().end())};
}

TypedShape ShapeOf(const Tensor& tensor) { return {tensor.element_type(), tensor.shape()}; }

}  // namespace

std::optional<AnswerShapes> ShapesOfAnswer(const AttendRequest& request) {
  const std::size_t rank = request.query.shape.size();
  if (rank < 2 || rank > 4 || request.key.shape.size() != rank || request.value.shape.size() != rank) {
    return std::nullopt;
  }
  AnswerShapes shapes{.output = {request.query.element_type, request.query.shape},
                      .weights = std::nullopt,
                      .log_sum_exp = std::nullopt};
  shapes.output.shape.back() = request.value.shape.back();

  // [.., Sq], whatever the layout.
  Shape rows = request.query.shape;
  std::size_t sequence = rank - 2;
  if (rank == 4 && request.layout == Layout::kBshd) {
    std::swap(rows[1], rows[2]);
    sequence = 1;
  }
  rows.pop_back();
  if (request.return_log_sum_exp) shapes.log_sum_exp = {ElementType::kFloat32, rows};
  if (request.return_weights) {
    rows.push_back(request.key.shape[sequence]);
    shapes.weights = {ElementType::kFloat32, std::move(rows)};
  }
  return shapes;
}

AnswerShapes ShapesOf(const AttendResult& result) {
  AnswerShapes shapes{.output = ShapeOf(result.output), .weights = std::nullopt, .log_sum_exp = std::nullopt};
  if (result.weights) shapes.weights = ShapeOf(*result.weights);
  if (result.log_sum_exp) shapes.log_sum_exp = ShapeOf(*result.log_sum_exp);
  return shapes;
}

absl::StatusOr<AnswerShapes> ShapesOf(const v1::AttentionResult& result) {
  AnswerShapes shapes;
  const auto output = ShapeOf(result.output(), "output");
  if (!output.ok()) return output.status();
  shapes.output = *output;
  if (result.has_weights()) {
    const auto weights = ShapeOf(result.weights(), "weights");
    if (!weights.ok()) return weights.status();
    shapes.weights = *weights;
  }
  if (result.has_log_sum_exp()) {
    const auto log_sum_exp = ShapeOf(result.log_sum_exp(), "log_sum_exp");
    if (!log_sum_exp.ok()) return log_sum_exp.status();
    shapes.log_sum_exp = *log_sum_exp;
  }
  return shapes;
}

absl::Status CheckShapes(const AnswerShapes& expected, const AnswerShapes& found) {
  absl::Status status = CheckShape("output", expected.output, found.output);
  if (status.ok()) status = CheckShape("weights", expected.weights, found.weights);
  if (status.ok()) status = CheckShape("log_sum_exp", expected.log_sum_exp, found.log_sum_exp);
  return status;
}

std::size_t SizeBytes(const AnswerShapes& shapes) {
  static constexpr std::size_t kMost = std::numeric_limits<std::int64_t>::max();
  std::size_t sum_bytes = 0;
  const auto add = [&sum_bytes](const TypedShape& tensor) {
    const std::size_t size_bytes = SizeBytes(tensor.element_type, tensor.shape, "answer").value_or(kMost);
    sum_bytes = size_bytes > kMost - sum_bytes ? kMost : sum_bytes + size_bytes;
  };
  add(shapes.output);
  if (shapes.weights) add(*shapes.weights);
  if (shapes.log_sum_exp) add(*shapes.log_sum_exp);
  return sum_bytes;
}

}  // namespace attnd
