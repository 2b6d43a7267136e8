#include "core/tiles.h"

#include <algorithm>

namespace attnd::core {
namespace {

std::int64_t KeyLength(const Problem& problem, std::int64_t batch) {
  return problem.key_lengths.empty() ? problem.keys : problem.key_lengths[static_cast<std::size_t>(batch)];
}

bool AnyNonZero(const std::uint8_t* bytes, std::int64_t count) {
  return std::any_of(bytes, bytes + count, [](std::uint8_t byte) { return byte != 0; });
}

}  // namespace

Range VisibleKeys(const Problem& problem, std::int64_t batch, std::int64_t query_row) {
  std::int64_t end = KeyLength(problem, batch);
  if (!problem.causal_offsets.empty()) {
    end = std::min(end, query_row + problem.causal_offsets[static_cast<std::size_t>(batch)] + 1);
  }
  return {0, std::max<std::int64_t>(end, 0)};
}

TileKind ClassifyTile(const Problem& problem, std::int64_t batch, Range query_rows, Range keys) {
  // Every mask in closed form shows a row's successor at least what it shows the row itself.
  const Range first = VisibleKeys(problem, batch, query_rows.begin);
  const Range last = VisibleKeys(problem, batch, query_rows.end - 1);
  if (last.end <= keys.begin) return TileKind::kHidden;
  return first.end >= keys.end ? TileKind::kFull : TileKind::kMixed;
}

const std::uint8_t* MaskRow(const Problem& problem, const std::uint8_t* mask, std::int64_t batch, std::int64_t head,
                            std::int64_t query_row) {
  if (!problem.boolean_mask.has_value()) return nullptr;
  const MaskStrides& strides = *problem.boolean_mask;
  return mask + batch * strides.batch + head * strides.head + query_row * strides.query;
}

bool MaskShowsAny(const Problem& problem, const std::uint8_t* mask, std::int64_t batch, std::int64_t head,
                  Range query_rows, Range keys) {
  if (!problem.boolean_mask.has_value()) return true;
  // Along a broadcast dimension one byte, or one row of them, stands for all.
  const bool one_key = problem.boolean_mask->key == 0;
  const std::int64_t rows_end = problem.boolean_mask->query == 0 ? query_rows.begin + 1 : query_rows.end;
  for (std::int64_t row = query_rows.begin; row < rows_end; ++row) {
    const std::uint8_t* bytes = MaskRow(problem, mask, batch, head, row);
    if (one_key ? *bytes != 0 : AnyNonZero(bytes + keys.begin, keys.size())) return true;
  }
  return false;
}

}  // namespace attnd::core
