// The intermediate results of one piece of the summaries. Of a size that is known before, and only there while the
// piece is worked on: few problems ask for summaries.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/aligned_buffer.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/summary_tasks.h"
#include "core/top_keys.h"
#include "core/weight_tiles.h"

namespace attnd::core {

// What the weights of one row add up to.
struct RowFigures {
  double entropy = 0;
  double first_keys_weight = 0;
  double mean_distance = 0;
  float largest_weight = 0;
};

class SummaryScratch {
 public:
  // What it takes, all in all.
  static std::int64_t SizeBytes(const Problem& problem, const Plan& plan);
  // Null where the memory cannot be had.
  static std::unique_ptr<SummaryScratch> Make(const Problem& problem, const Plan& plan);

  // One key tile, packed.
  std::byte* packed_keys() { return packed_keys_; }
  // Products on their way to scores: kQueryTileRows × kKeyTileKeys.
  float* scores() { return scores_; }
  // Where heads are reduced, their sums for a row tile, of the same size: of scores at the matrix's stage, of weights,
  // and with a byte that is not 0 where any head sees the key.
  float* combined_scores(std::int64_t tile) { return combined_scores_ + tile * kTileScores; }
  float* combined_weights(std::int64_t tile) { return combined_weights_ + tile * kTileScores; }
  std::uint8_t* combined_seen(std::int64_t tile) { return combined_seen_ + tile * kTileScores; }
  // The pooled map's cells: kMostMapRows × its columns.
  double* cells() { return cells_; }
  // TopKeys::Candidates, for each of kChunkRows rows.
  std::uint64_t* candidates() { return candidates_; }

  std::array<RowTile, kChunkTiles> tiles;
  SeenKeys seen;
  std::array<RowFigures, kChunkRows> figures;
  std::array<TopKeys, kChunkRows> top_keys;

 private:
  static constexpr std::int64_t kTileScores = kQueryTileRows * kKeyTileKeys;

  // How many bytes each part takes.
  struct Parts {
    std::int64_t queries = 0;
    std::int64_t packed_keys = 0;
    std::int64_t scores = 0;
    std::int64_t combined_scores = 0;
    std::int64_t combined_weights = 0;
    std::int64_t combined_seen = 0;
    std::int64_t cells = 0;
    std::int64_t candidates = 0;
    std::int64_t Sum() const {
      return queries + packed_keys + scores + combined_scores + combined_weights + combined_seen + cells + candidates;
    }
  };
  static Parts PartsOf(const Problem& problem, const Plan& plan);

  SummaryScratch() = default;

  AlignedBuffer buffer_;
  std::byte* packed_keys_ = nullptr;
  float* scores_ = nullptr;
  float* combined_scores_ = nullptr;
  float* combined_weights_ = nullptr;
  std::uint8_t* combined_seen_ = nullptr;
  double* cells_ = nullptr;
  std::uint64_t* candidates_ = nullptr;
};

}  // namespace attnd::core
