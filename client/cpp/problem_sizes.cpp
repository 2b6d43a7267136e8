#include "client/cpp/problem_sizes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace attnd {
namespace {

// So that sums of a few sizes, and their multiples, do not overflow.
constexpr std::size_t kMaxTensorSizeBytes = std::size_t{1} << 58;

// Positions and windows beyond this are taken for it: no sequence is as long, and sums stay far from the ends of 64
// bits. What a server does with larger ones is the same.
constexpr std::int64_t kFarthestPosition = std::int64_t{1} << 52;

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

using Numbers = std::optional<std::vector<std::int64_t>>;

// Not given, or one a batch entry from 0 to `most`.
bool LengthsAreGood(const Numbers& lengths, std::int64_t most, const ProblemSizes& sizes) {
  return !lengths ||
         (static_cast<std::int64_t>(lengths->size()) == sizes.batch &&
          std::ranges::all_of(*lengths, [&](std::int64_t length) { return length >= 0 && length <= most; }));
}

// Where the rows stand, by alignment or by offsets.
bool PlaceIsGood(CausalAlignment alignment, const Numbers& offsets, bool matters, const ProblemSizes& sizes) {
  if (offsets) {
    return alignment == CausalAlignment::kUnspecified && static_cast<std::int64_t>(offsets->size()) == sizes.batch;
  }
  return alignment != CausalAlignment::kUnspecified || !matters || sizes.query_rows == sizes.keys;
}

bool CausalSaysWhere(const MaskOptions& mask) {
  return mask.causal_offsets || mask.causal.value_or(CausalAlignment::kUnspecified) != CausalAlignment::kUnspecified;
}

bool PlacesAreGood(const AttendRequest& request, const ProblemSizes& sizes) {
  const MaskOptions& mask = request.mask;
  const bool matters = CountsPositions(request);
  if (request.positions) {
    return !CausalSaysWhere(mask) &&
           PlaceIsGood(request.positions->alignment, request.positions->offsets, matters, sizes);
  }
  return PlaceIsGood(mask.causal.value_or(CausalAlignment::kUnspecified), mask.causal_offsets, matters, sizes);
}

// The shape of the weights, or of blocks of them.
Shape WeightsShape(const ProblemSizes& sizes, std::size_t rank, std::int64_t rows, std::int64_t keys) {
  if (rank == 2) return {rows, keys};
  if (rank == 3) return {sizes.batch, rows, keys};
  return {sizes.batch, sizes.query_heads, rows, keys};
}

bool Broadcasts(const Shape& shape, const Shape& weights, bool may_be_narrower) {
  if (shape.size() > weights.size()) return false;
  if (may_be_narrower && !shape.empty() && shape.back() >= 1 && shape.back() < weights.back()) {
    Shape widened = shape;
    widened.back() = weights.back();
    return Broadcasts(widened, weights, false);
  }
  return std::equal(shape.rbegin(), shape.rend(), weights.rbegin(),
                    [](std::int64_t size, std::int64_t of_weights) { return size == 1 || size == of_weights; });
}

bool MaskIsGood(const std::optional<TensorView>& mask, const Shape& weights) {
  return !mask ||
         (mask->element_type == ElementType::kBool && IsTensor(*mask) && Broadcasts(mask->shape, weights, true));
}

bool BiasIsGood(const AttendRequest& request, const Shape& weights) {
  if (!request.bias) return true;
  const ElementType type = request.bias->element_type;
  return (type == ElementType::kFloat32 || type == request.query.element_type) && IsTensor(*request.bias) &&
         Broadcasts(request.bias->shape, weights, true);
}

bool BlocksAreGood(const AttendRequest& request, const ProblemSizes& sizes) {
  if (!request.mask.blocks) return true;
  const BlockMask& blocks = *request.mask.blocks;
  if (blocks.query_block_rows < 1 || blocks.key_block_keys < 1) return false;
  const Shape weights =
      WeightsShape(sizes, request.query.shape.size(), (sizes.query_rows - 1) / blocks.query_block_rows + 1,
                   (sizes.keys - 1) / blocks.key_block_keys + 1);
  return blocks.tensor.element_type == ElementType::kBool && IsTensor(blocks.tensor) &&
         Broadcasts(blocks.tensor.shape, weights, false);
}

bool SegmentIdsAreGood(const TensorView& ids, std::int64_t count, std::size_t rank, const ProblemSizes& sizes) {
  return ids.element_type == ElementType::kInt32 && IsTensor(ids) &&
         ids.shape == (rank == 2 ? Shape{count} : Shape{sizes.batch, count});
}

bool SegmentsAreGood(const AttendRequest& request, const ProblemSizes& sizes) {
  if (!request.mask.segments) return true;
  const std::size_t rank = request.query.shape.size();
  return SegmentIdsAreGood(request.mask.segments->query, sizes.query_rows, rank, sizes) &&
         SegmentIdsAreGood(request.mask.segments->key, sizes.keys, rank, sizes);
}

bool PerHeadIsGood(const std::optional<std::vector<float>>& numbers, const ProblemSizes& sizes) {
  return !numbers || (static_cast<std::int64_t>(numbers->size()) == sizes.query_heads &&
                      std::ranges::all_of(*numbers, [](float number) {
                        return !std::isnan(number) && number != std::numeric_limits<float>::infinity();
                      }));
}

bool OptionsAreGood(const AttendRequest& request, const ProblemSizes& sizes) {
  const MaskOptions& mask = request.mask;
  const Shape weights = WeightsShape(sizes, request.query.shape.size(), sizes.query_rows, sizes.keys);
  return PlacesAreGood(request, sizes) && LengthsAreGood(mask.causal_prefix_lengths, sizes.keys, sizes) &&
         LengthsAreGood(mask.key_lengths, sizes.keys, sizes) &&
         LengthsAreGood(mask.query_lengths, sizes.query_rows, sizes) && MaskIsGood(mask.boolean, weights) &&
         BiasIsGood(request, weights) && BlocksAreGood(request, sizes) && SegmentsAreGood(request, sizes) &&
         PerHeadIsGood(request.alibi_slopes, sizes) && PerHeadIsGood(request.sinks, sizes) &&
         (!request.return_weights || HasGoodSize(weights));
}

// How many keys a mask or bias reaches.
std::int64_t Reach(const std::optional<TensorView>& mask, std::int64_t keys) {
  return !mask || mask->shape.empty() || mask->shape.back() == 1 ? keys : std::min(keys, mask->shape.back());
}

std::int64_t At(const Numbers& numbers, std::int64_t batch, std::int64_t otherwise) {
  return numbers ? (*numbers)[static_cast<std::size_t>(batch)] : otherwise;
}

// Of a window that is open to a side, farther than any position.
std::int64_t WindowSide(std::optional<std::int64_t> side) {
  return std::clamp(side.value_or(2 * kFarthestPosition), std::int64_t{0}, 2 * kFarthestPosition);
}

}  // namespace

bool MayBeCut(const AttendRequest& request) { return !request.ragged && request.summaries == Summaries{}; }

std::optional<ProblemSizes> SizesOf(const AttendRequest& request) {
  if (!MayBeCut(request) || !TensorsAgree(request)) return std::nullopt;
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
  if (!HasGoodSize({query.batch, query.heads, query.rows, value.head_size})) return std::nullopt;
  if (!OptionsAreGood(request, sizes)) return std::nullopt;
  return sizes;
}

bool IsCausal(const MaskOptions& mask) { return mask.causal || mask.causal_offsets || mask.causal_prefix_lengths; }

bool CountsPositions(const AttendRequest& request) {
  return IsCausal(request.mask) || request.mask.window || request.alibi_slopes;
}

std::int64_t PositionOffset(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch) {
  const Numbers& offsets = request.positions ? request.positions->offsets : request.mask.causal_offsets;
  if (offsets) return std::clamp(At(offsets, batch, 0), -kFarthestPosition, kFarthestPosition);
  const CausalAlignment alignment =
      request.positions ? request.positions->alignment : request.mask.causal.value_or(CausalAlignment::kUnspecified);
  return alignment == CausalAlignment::kBottomRight ? sizes.keys - sizes.query_rows : 0;
}

std::int64_t QueryLength(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch) {
  return At(request.mask.query_lengths, batch, sizes.query_rows);
}

Range VisibleKeys(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch, std::int64_t row) {
  const MaskOptions& mask = request.mask;
  const std::int64_t reach = std::min(
      {At(mask.key_lengths, batch, sizes.keys), Reach(mask.boolean, sizes.keys), Reach(request.bias, sizes.keys)});
  Range visible = {0, reach};
  const std::int64_t position = row + PositionOffset(request, sizes, batch);
  if (IsCausal(mask)) {
    visible.end = std::min(visible.end, std::max(position + 1, At(mask.causal_prefix_lengths, batch, 0)));
  }
  if (mask.window) {
    visible.begin = std::max(visible.begin, position - WindowSide(mask.window->left));
    visible.end = std::min(visible.end, position + WindowSide(mask.window->right) + 1);
  }
  visible.begin = std::min(visible.begin, reach);
  visible.end = std::max(visible.end, visible.begin);
  return visible;
}

bool HasOtherMasks(const AttendRequest& request) {
  const MaskOptions& mask = request.mask;
  return mask.boolean || mask.segments || mask.blocks || request.bias;
}

}  // namespace attnd
