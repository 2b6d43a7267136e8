#include "core/summary_scratch.h"

#include <cstring>
#include <new>

namespace attnd::core {

// Every part is a multiple of kAlignmentBytes.
SummaryScratch::Parts SummaryScratch::PartsOf(const Problem& problem, const Plan& plan) {
  const SummaryOptions& asked = problem.summaries;
  const auto operand_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan.operand_type));
  constexpr auto kScoresSizeBytes = static_cast<std::int64_t>(kTileScores * sizeof(float));
  Parts parts;
  parts.queries = kChunkRows * plan.padded_head_size * operand_size_bytes;
  parts.packed_keys = kKeyTileKeys * plan.padded_head_size * operand_size_bytes;
  parts.scores = kScoresSizeBytes;
  if (asked.head_reduction != HeadReduction::kNone && (asked.matrix.has_value() || asked.top_keys > 0)) {
    parts.combined_scores = asked.matrix.has_value() ? kChunkTiles * kScoresSizeBytes : 0;
    parts.combined_weights = kChunkTiles * kScoresSizeBytes;
    parts.combined_seen = kChunkTiles * kTileScores;
  }
  if (asked.pooled_map.has_value()) {
    constexpr std::int64_t kCellsInLine = kAlignmentBytes / sizeof(double);
    const std::int64_t cells = kMostMapRows * asked.pooled_map->columns;
    parts.cells = (cells + kCellsInLine - 1) / kCellsInLine * static_cast<std::int64_t>(kAlignmentBytes);
  }
  parts.candidates =
      kChunkRows * TopKeys::Candidates(asked.top_keys) * static_cast<std::int64_t>(sizeof(std::uint64_t));
  return parts;
}

std::int64_t SummaryScratch::SizeBytes(const Problem& problem, const Plan& plan) {
  return static_cast<std::int64_t>(sizeof(SummaryScratch)) + PartsOf(problem, plan).Sum();
}

std::unique_ptr<SummaryScratch> SummaryScratch::Make(const Problem& problem, const Plan& plan) {
  const Parts parts = PartsOf(problem, plan);
  std::unique_ptr<SummaryScratch> scratch(new (std::nothrow) SummaryScratch());
  if (scratch == nullptr) return nullptr;
  scratch->buffer_ = AllocateAligned(static_cast<std::size_t>(parts.Sum()));
  if (scratch->buffer_ == nullptr) return nullptr;
  std::byte* next = scratch->buffer_.get();
  const auto take = [&next](std::int64_t size_bytes) {
    std::byte* const part = next;
    next += size_bytes;
    return part;
  };
  std::byte* const queries = take(parts.queries);
  scratch->packed_keys_ = take(parts.packed_keys);
  scratch->scores_ = reinterpret_cast<float*>(take(parts.scores));
  scratch->combined_scores_ = reinterpret_cast<float*>(take(parts.combined_scores));
  scratch->combined_weights_ = reinterpret_cast<float*>(take(parts.combined_weights));
  scratch->combined_seen_ = reinterpret_cast<std::uint8_t*>(take(parts.combined_seen));
  scratch->cells_ = reinterpret_cast<double*>(take(parts.cells));
  scratch->candidates_ = reinterpret_cast<std::uint64_t*>(take(parts.candidates));
  // Products read whole classes of rows: those past a tile's last must hold numbers, whichever.
  std::memset(queries, 0, static_cast<std::size_t>(parts.queries));
  for (std::int64_t tile = 0; tile < kChunkTiles; ++tile) {
    scratch->tiles[static_cast<std::size_t>(tile)].query = queries + tile * parts.queries / kChunkTiles;
  }
  return scratch;
}

}  // namespace attnd::core
