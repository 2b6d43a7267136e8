// Computes scores and weights again, tile by tile, from rows whose softmax is known: with what the first pass computed
// them with, so that they have the same bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/execute.h"
#include "core/kernels/softmax.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/row_states.h"
#include "core/scratch.h"
#include "core/summaries.h"

namespace attnd::core {

// Up to kQueryTileRows rows of one batch entry and query head, in ascending order. Who makes one fills the first
// members, up to `query`; WeightTiles fills the others.
struct RowTile {
  std::int64_t batch_entry = 0;
  std::int64_t query_head = 0;
  Sequence sequence = {};
  std::int64_t count = 0;
  std::array<std::int64_t, kQueryTileRows> rows;  // counted from the sequence's first
  // Memory for kQueryTileRows rows as the products take them, in which all are numbers.
  std::byte* query = nullptr;

  bool is_loaded = false;
  std::array<Range, kQueryTileRows> row_keys;
  std::array<RowState, kQueryTileRows> states;
  // The weight of every key in rows that saw none, and in padding; kComputed in the others.
  std::array<float, kQueryTileRows> constant_weight;
  static constexpr float kComputed = -1;
  // In some row that saw no key, all keys have a weight.
  bool has_mean_rows = false;
};

// The keys of a tile that each row sees, or that count as seen: the columns in its interval and, where its bytes are
// not null, with a byte that is not 0.
struct SeenKeys {
  bool any = false;
  std::array<kernels::ColumnInterval, kQueryTileRows> columns;
  std::array<const std::uint8_t*, kQueryTileRows> bytes;
};

// Constant after construction, and thread-safe where each thread has a Scratch of its own.
class WeightTiles {
 public:
  // Borrows both. The execution is prepared and has finished all rows when weights are asked for.
  WeightTiles(const Execution& execution, const RowStates& states);

  // Finds what holds for the rows whatever the key tile.
  void Start(RowTile& tile) const;

  // Finds what the rows see of a key tile, by the masks. It lies in the scratch until the next call.
  void Look(const RowTile& tile, Range keys, Scratch& scratch, SeenKeys& seen) const;

  // The products q·k: [rows × kKeyTileKeys].
  void ComputeProducts(RowTile& tile, Range keys, const std::byte* packed_keys, float* products) const;

  // Takes products to a stage before the weights, in place. −∞ where the stage has it; 0 in padding otherwise.
  void ToStage(const RowTile& tile, Range keys, MatrixStage stage, const SeenKeys& seen, float* products,
               Scratch& scratch) const;

  // Turns products into weights, in place; products are read only where a key is seen. Rows that saw no key get their
  // constant weight, and `seen` then says that they see all keys, or none.
  void ToWeights(const RowTile& tile, Range keys, SeenKeys& seen, float* products, Scratch& scratch) const;

 private:
  const Execution& execution_;
  const Problem& problem_;
  const RowStates& states_;
  const bool changes_scores_;
  const float scale_log2e_;
};

}  // namespace attnd::core
