#include "client/cpp/box.h"

#include <absl/functional/function_ref.h>

#include <cassert>
#include <cstring>
#include <utility>

namespace attnd {
namespace {

std::int64_t SizeOfElement(ElementType type) { return static_cast<std::int64_t>(ElementSizeBytes(type)); }

// The longest stretches of a box whose elements lie one after the other.
struct Runs {
  std::size_t outer_dimensions = 0;  // those that a run does not reach over
  std::int64_t size = 1;             // elements
};

Runs RunsOf(const Shape& shape, const Box& box) {
  Runs runs{.outer_dimensions = shape.size()};
  bool is_whole = true;
  while (is_whole && runs.outer_dimensions > 0) {
    const Range& range = box[--runs.outer_dimensions];
    runs.size *= range.size();
    is_whole = range.size() == shape[runs.outer_dimensions];
  }
  // One entry of an outer dimension, or of several, does not break a run.
  while (runs.outer_dimensions > 0 && box[runs.outer_dimensions - 1].size() == 1) --runs.outer_dimensions;
  return runs;
}

// Where element `index` of the whole lies, in elements from its first.
std::int64_t OffsetOf(const Shape& shape, const std::vector<std::int64_t>& index) {
  std::int64_t offset = 0;
  for (std::size_t d = 0; d < shape.size(); ++d) offset = offset * shape[d] + index[d];
  return offset;
}

// Calls `run` with where each run begins, in elements from the first of the whole, in the order of the box's elements.
void ForEachRun(const Shape& shape, const Box& box, const Runs& runs, absl::FunctionRef<void(std::int64_t)> run) {
  std::vector<std::int64_t> index;
  for (const Range& range : box) index.push_back(range.begin);
  while (true) {
    run(OffsetOf(shape, index));
    std::size_t d = runs.outer_dimensions;
    while (d > 0 && ++index[d - 1] == box[d - 1].end) {
      --d;
      index[d] = box[d].begin;
    }
    if (d == 0) return;
  }
}

}  // namespace

Shape ShapeOf(const Box& box) {
  Shape shape;
  for (const Range& range : box) shape.push_back(range.size());
  return shape;
}

absl::StatusOr<Slice> SliceOf(const TensorView& whole, const Box& box, absl::string_view name) {
  const Runs runs = RunsOf(whole.shape, box);
  const std::int64_t run_size_bytes = runs.size * SizeOfElement(whole.element_type);
  const auto* from = static_cast<const std::byte*>(whole.data);
  Slice slice{.view = {whole.element_type, ShapeOf(box)}};
  if (runs.outer_dimensions == 0) {
    ForEachRun(whole.shape, box, runs,
               [&](std::int64_t offset) { slice.view.data = from + offset * SizeOfElement(whole.element_type); });
    return slice;
  }
  auto copy = Tensor::Create(whole.element_type, slice.view.shape, name);
  if (!copy.ok()) return copy.status();
  std::byte* to = copy->data();
  ForEachRun(whole.shape, box, runs, [&](std::int64_t offset) {
    std::memcpy(to, from + offset * SizeOfElement(whole.element_type), static_cast<std::size_t>(run_size_bytes));
    to += run_size_bytes;
  });
  slice.view.data = copy->data();
  slice.copy = *std::move(copy);
  return slice;
}

void Put(const TensorView& part, const Box& box, Tensor& whole) {
  assert(part.element_type == whole.element_type() && part.shape == ShapeOf(box));
  const Runs runs = RunsOf(whole.shape(), box);
  const std::int64_t run_size_bytes = runs.size * SizeOfElement(whole.element_type());
  const auto* from = static_cast<const std::byte*>(part.data);
  ForEachRun(whole.shape(), box, runs, [&](std::int64_t offset) {
    std::memcpy(whole.data() + offset * SizeOfElement(whole.element_type()), from,
                static_cast<std::size_t>(run_size_bytes));
    from += run_size_bytes;
  });
}

void Clear(const Box& box, Tensor& whole) {
  const Runs runs = RunsOf(whole.shape(), box);
  const std::int64_t run_size_bytes = runs.size * SizeOfElement(whole.element_type());
  ForEachRun(whole.shape(), box, runs, [&](std::int64_t offset) {
    std::memset(whole.data() + offset * SizeOfElement(whole.element_type()), 0,
                static_cast<std::size_t>(run_size_bytes));
  });
}

}  // namespace attnd
