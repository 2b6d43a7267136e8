// One piece of the summaries while it is computed: three loops over tiles of rows and keys, one for each kind of task.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>

#include "core/execute.h"
#include "core/plan.h"
#include "core/pooled_cells.h"
#include "core/scratch.h"
#include "core/summary_results.h"
#include "core/summary_scratch.h"
#include "core/summary_tasks.h"
#include "core/weight_tiles.h"

namespace attnd::core {

// Used once, by one thread. Borrows all that it is given.
class SummaryPiece {
 public:
  // `give_up` is asked before each key tile; where it says so, Run returns at once and leaves the results unspecified.
  SummaryPiece(const Execution& execution, const WeightTiles& weights, const SummaryResults& results,
               const SummaryTask& task, absl::FunctionRef<bool()> give_up, Scratch& scratch, SummaryScratch& own);

  void Run();
  // Tiles whose scores were computed.
  std::int64_t computed_tiles() const { return computed_tiles_; }

 private:
  void RunRows();
  void RunCombinedRows();
  void RunKeys();

  // Makes row tiles of up to kChunkRows covered rows of a covered head.
  void StartTiles(std::int64_t head, Range rows);
  void StartTile(std::int64_t head, Range rows, RowTile& tile);
  void StartTopKeys(Range rows);
  // Looks at the key tile, and computes the products of what is seen or, if `even_hidden`, of all. Packs the keys where
  // that is the first time.
  void ComputeProducts(RowTile& tile, Range keys, bool even_hidden, bool& is_packed);
  // The scores at the matrix's stage, in the piece's scratch.
  const float* ScoresAtStage(const RowTile& tile, Range keys);

  // Rows [rows.begin, …) of the task, those of tile `index`.
  void AddKeyTile(Range rows, std::int64_t index, Range keys, PooledCells* cells, bool& is_packed);
  void AddToRows(const RowTile& tile, std::int64_t first, Range keys);
  void FinishRows(Range rows);
  void CombineHeads(Range rows, Range keys);
  void AddHead(RowTile& tile, std::int64_t index, Range keys, bool& is_packed);
  void FinishCombined(Range rows, std::int64_t index, Range keys);
  void WriteMatrixRows(std::int64_t head, Range rows, Range keys, const float* numbers) const;

  // The covered rows of the tile among those of a chunk.
  static Range TileRows(Range rows, std::int64_t index) {
    const Range tile = QueryTileRows(index, rows.size());
    return {.begin = rows.begin + tile.begin, .end = rows.begin + tile.end};
  }

  const Execution& execution_;
  const Problem& problem_;
  const SummaryOptions& asked_;
  const WeightTiles& weights_;
  const SummaryResults& results_;
  const SummaryTask& task_;
  const absl::FunctionRef<bool()> give_up_;
  Scratch& scratch_;
  SummaryScratch& own_;
  const Sequence sequence_;
  // The matrix is of scores, and of those of hidden keys.
  const bool wants_scores_;
  const bool wants_hidden_scores_;
  // Anything but such a matrix is wanted.
  const bool wants_weights_;
  std::int64_t computed_tiles_ = 0;
};

}  // namespace attnd::core
