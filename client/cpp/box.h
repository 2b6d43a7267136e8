// Boxes of tensors: a range along each dimension. Taking one out, and putting one back.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "client/cpp/tensor.h"

namespace attnd {

// A half-open range of batch entries, heads, rows or keys.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

// One range a dimension, outermost first; none is empty, and each lies within its dimension.
using Box = std::vector<Range>;

Shape ShapeOf(const Box& box);

// A box of a tensor as a tensor of its own.
struct Slice {
  TensorView view;
  std::optional<Tensor> copy = std::nullopt;  // what the view refers to, unless that is the tensor's own memory
};

// Copies only where the box's elements do not lie one after the other. RESOURCE_EXHAUSTED, with `name` in its text,
// where memory for the copy could not be had.
absl::StatusOr<Slice> SliceOf(const TensorView& whole, const Box& box, absl::string_view name);

// Writes a tensor of the box's shape, and of the whole's element type, to the box.
void Put(const TensorView& part, const Box& box, Tensor& whole);

// Sets the box's bytes to zero.
void Clear(const Box& box, Tensor& whole);

}  // namespace attnd
