// What the answer to a request must look like.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>

#include <cstddef>
#include <optional>

#include "client/cpp/attention.h"
#include "client/cpp/result_tensors.h"

namespace attnd {

struct TypedShape {
  ElementType element_type = ElementType::kFloat32;
  Shape shape;

  bool operator==(const TypedShape&) const = default;
};

// Those of the tensors that are there.
using AnswerShapes = PerOutput<std::optional<TypedShape>>;

// Nothing where query, key and value have no ranks of a problem, or a ragged batch no offsets of one: the server says
// what it thinks of that.
std::optional<AnswerShapes> ShapesOfAnswer(const AttendRequest& request);

AnswerShapes ShapesOf(const AttendResult& result);

// INTERNAL where this client does not know an element type.
absl::StatusOr<AnswerShapes> ShapesOf(const v1::AttentionResult& result);

// INTERNAL, with the difference, where they are not the same.
absl::Status CheckShapes(const AnswerShapes& expected, const AnswerShapes& found);

// The bytes of all tensors; 2^63 − 1 where they are more.
std::size_t SizeBytes(const AnswerShapes& shapes);

}  // namespace attnd
