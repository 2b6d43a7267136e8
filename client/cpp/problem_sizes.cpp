#include "client/cpp/problem_sizes.h"

#include <algorithm>

namespace attnd {
namespace {

// So that sums of a few sizes, and their multiples, do not overflow.
constexpr std::size_t kMaxTensorSizeBytes = std::size_t{1} << 58;

struct TensorSizes {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t rows = 1;
  std::int64_t head_size = 1;
};

TensorSizes SizesOf(const Shape& shape, Layout layout) {
  const std::size_t rank = shape.size();
  TensorSizes sizes{.rows = shape[rank - 2], .head_size = shape[rank - 1]};
  if (rank > 2) sizes.batch = shape[0];
  if (rank == 4) sizes.heads = shape[1];
  if (layout == Layout::kBshd) {
    sizes.heads = shape[2];
    sizes.rows = shape[1];
  }
  return sizes;
}

bool HasGoodSize(const Shape& shape, ElementType type = ElementType::kFloat32) {
  const auto size_bytes = SizeBytes(type, shape, "");
  return size_bytes.ok() && *size_bytes > 0 && *size_bytes <= kMaxTensorSizeBytes;
}

bool IsTensor(const TensorView& view) { return HasGoodSize(view.shape, view.element_type) && view.data != nullptr; }

bool IsComputable(ElementType type) {
  return type == ElementType::kFloat32 || type == ElementType::kBfloat16 || type == ElementType::kFloat16;
}

bool TensorsAgree(const AttendRequest& request) {
  const std::size_t rank = request.query.shape.size();
  if (rank > 4 || rank < (request.layout == Layout::kBshd ? 4 : 2)) return false;
  return IsComputable(request.query.element_type) &&
         std::ranges::all_of(std::vector{&request.query, &request.key, &request.value}, [&](const TensorView* view) {
           return IsTensor(*view) && view->shape.size() == rank && view->element_type == request.query.element_type;
         });
}

bool LengthsAreGood(const std::vector<std::int64_t>& lengths, const ProblemSizes& sizes) {
  return static_cast<std::int64_t>(lengths.size()) == sizes.batch &&
         std::ranges::all_of(lengths, [&](std::int64_t length) { return length >= 0 && length <= sizes.keys; });
}

bool CausalIsGood(const MaskOptions& mask, const ProblemSizes& sizes) {
  if (mask.causal_offsets) {
    return mask.causal.value_or(CausalAlignment::kUnspecified) == CausalAlignment::kUnspecified &&
           static_cast<std::int64_t>(mask.causal_offsets->size()) == sizes.batch;
  }
  return mask.causal != CausalAlignment::kUnspecified || sizes.query_rows == sizes.keys;
}

// The shape of the weights.
Shape WeightsShape(const ProblemSizes& sizes, std::size_t rank) {
  const Shape shape = {sizes.batch, sizes.query_heads, sizes.query_rows, sizes.keys};
  if (rank == 2) return {shape[2], shape[3]};
  if (rank == 3) return {shape[0], shape[2], shape[3]};
  return shape;
}

bool BooleanIsGood(const TensorView& mask, const Shape& weights) {
  if (mask.element_type != ElementType::kBool || !IsTensor(mask) || mask.shape.size() > weights.size()) return false;
  return std::equal(mask.shape.rbegin(), mask.shape.rend(), weights.rbegin(),
                    [](std::int64_t size, std::int64_t of_weights) { return size == 1 || size == of_weights; });
}

}  // namespace

std::optional<ProblemSizes> SizesOf(const AttendRequest& request) {
  if (!TensorsAgree(request)) return std::nullopt;
  const TensorSizes query = SizesOf(request.query.shape, request.layout);
  const TensorSizes key = SizesOf(request.key.shape, request.layout);
  const TensorSizes value = SizesOf(request.value.shape, request.layout);
  if (key.batch != query.batch || value.batch != query.batch || key.head_size != query.head_size ||
      value.heads != key.heads || value.rows != key.rows || query.heads % key.heads != 0) {
    return std::nullopt;
  }
  const ProblemSizes sizes{.batch = query.batch,
                           .query_heads = query.heads,
                           .key_value_heads = key.heads,
                           .query_rows = query.rows,
                           .keys = key.rows,
                           .head_size = query.head_size,
                           .value_head_size = value.head_size};
  if (request.mask.key_lengths && !LengthsAreGood(*request.mask.key_lengths, sizes)) return std::nullopt;
  if (!CausalIsGood(request.mask, sizes)) return std::nullopt;
  const Shape weights = WeightsShape(sizes, request.query.shape.size());
  if (request.mask.boolean && !BooleanIsGood(*request.mask.boolean, weights)) return std::nullopt;
  if (request.return_weights && !HasGoodSize(weights)) return std::nullopt;
  if (!HasGoodSize({query.batch, query.heads, query.rows, value.head_size})) return std::nullopt;
  return sizes;
}

std::optional<std::int64_t> CausalOffset(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch) {
  const MaskOptions& mask = request.mask;
  if (mask.causal_offsets) {
    return std::clamp((*mask.causal_offsets)[static_cast<std::size_t>(batch)], -sizes.query_rows, sizes.keys);
  }
  if (!mask.causal) return std::nullopt;
  return *mask.causal == CausalAlignment::kBottomRight ? sizes.keys - sizes.query_rows : 0;
}

std::int64_t VisibleKeysEnd(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch,
                            std::int64_t row) {
  std::int64_t end = sizes.keys;
  if (request.mask.key_lengths) end = (*request.mask.key_lengths)[static_cast<std::size_t>(batch)];
  if (const auto offset = CausalOffset(request, sizes, batch)) end = std::min(end, row + *offset + 1);
  return std::max<std::int64_t>(end, 0);
}

}  // namespace attnd
