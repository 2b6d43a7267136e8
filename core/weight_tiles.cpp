#include "core/weight_tiles.h"

#include <algorithm>
#include <limits>

#include "core/scores.h"
#include "core/tiles.h"

namespace attnd::core {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// use(run) for each run of rows that follow each other: what is known of ranges of rows is then asked for as rarely as
// may be.
template <typename Use>
void ForEachRun(const Problem& problem, const RowTile& tile, Use use) {
  const std::int64_t heads_per_group = problem.query_heads / problem.key_value_heads;
  const auto row = [&](std::int64_t index) { return tile.rows[static_cast<std::size_t>(index)]; };
  for (std::int64_t begin = 0; begin < tile.count;) {
    std::int64_t end = begin + 1;
    while (end < tile.count && row(end) == row(end - 1) + 1) ++end;
    use(QueryTile{.batch_entry = tile.batch_entry,
                  .query_head = tile.query_head,
                  .key_value_head = tile.query_head / heads_per_group,
                  .sequence = tile.sequence,
                  .rows = {.begin = row(begin), .end = row(end - 1) + 1},
                  .first = begin});
    begin = end;
  }
}

// Sets what is not seen to −∞.
void Hide(kernels::ColumnInterval columns, const std::uint8_t* bytes, std::int64_t count, float* row) {
  std::fill(row, row + columns.begin, kMinusInfinity);
  std::fill(row + std::max(columns.begin, columns.end), row + count, kMinusInfinity);
  if (bytes == nullptr) return;
  for (std::int64_t c = columns.begin; c < columns.end; ++c) {
    if (bytes[c] == 0) row[c] = kMinusInfinity;
  }
}

}  // namespace

WeightTiles::WeightTiles(const Execution& execution, const RowStates& states)
    : execution_(execution),
      problem_(execution.problem()),
      states_(states),
      changes_scores_(ChangesScores(problem_)),
      scale_log2e_(ScaleToPowersOfTwo(problem_)) {}

void WeightTiles::Start(RowTile& tile) const {
  ForEachRun(problem_, tile, [&](const QueryTile& run) { FindRowKeys(problem_, run, tile.row_keys.data()); });
  const bool mean = problem_.empty_row == EmptyRow::kMeanOfAllValues && tile.sequence.keys > 0;
  const float empty_weight = mean ? 1.0F / static_cast<float>(tile.sequence.keys) : 0.0F;
  tile.is_loaded = false;
  tile.has_mean_rows = false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(tile.count); ++i) {
    if (tile.rows[i] >= tile.sequence.query_length) {
      tile.constant_weight[i] = 0;
      continue;
    }
    tile.states[i] = states_.At(tile.batch_entry, tile.sequence, tile.query_head, tile.rows[i]);
    const bool saw_key = tile.states[i].saw_key();
    tile.constant_weight[i] = saw_key ? RowTile::kComputed : empty_weight;
    tile.has_mean_rows = tile.has_mean_rows || (!saw_key && mean);
  }
}

void WeightTiles::Look(const RowTile& tile, Range keys, Scratch& scratch, SeenKeys& seen) const {
  seen.any = false;
  ForEachRun(problem_, tile, [&](const QueryTile& run) {
    TileVisibility& visibility = scratch.visibility;
    const TileKind kind = FindVisibility(problem_, execution_.tensors(), run, keys, tile.row_keys.data(),
                                         scratch.mask_bytes(), visibility);
    seen.any = seen.any || kind != TileKind::kHidden;
    for (std::int64_t place = run.first; place < run.first + run.rows.size(); ++place) {
      const auto i = static_cast<std::size_t>(place);
      seen.columns[i] = visibility.columns[i];
      seen.bytes[i] = visibility.RowBytes(place);
    }
  });
}

void WeightTiles::ComputeProducts(RowTile& tile, Range keys, const std::byte* packed_keys, float* products) const {
  const Operands& operands = execution_.operands();
  if (!tile.is_loaded) {
    for (std::int64_t row = 0; row < tile.count; ++row) {
      operands.LoadQuery(tile.batch_entry, tile.query_head, tile.sequence, tile.rows[static_cast<std::size_t>(row)],
                         tile.query + row * operands.QuerySizeBytes());
    }
    tile.is_loaded = true;
  }
  const std::int64_t padded_keys = operands.plan().PaddedKeys(keys);
  operands.ProductsFor({0, padded_keys}, padded_keys).Scores(tile.count, tile.query, packed_keys, products);
}

void WeightTiles::ToStage(const RowTile& tile, Range keys, MatrixStage stage, const SeenKeys& seen, float* products,
                          Scratch& scratch) const {
  const ScoreStage score_stage = stage == MatrixStage::kScaled       ? ScoreStage::kScaled
                                 : stage == MatrixStage::kSoftCapped ? ScoreStage::kSoftCapped
                                                                     : ScoreStage::kComplete;
  ForEachRun(problem_, tile, [&](const QueryTile& run) {
    ChangeScores(problem_, execution_.tensors(), run, keys, score_stage, products, scratch.added());
  });
  for (std::int64_t row = 0; row < tile.count; ++row) {
    const auto i = static_cast<std::size_t>(row);
    float* const scores = products + row * kKeyTileKeys;
    if (stage == MatrixStage::kMasked) {
      Hide(seen.columns[i], seen.bytes[i], keys.size(), scores);
    } else if (tile.rows[i] >= tile.sequence.query_length) {
      std::fill_n(scores, keys.size(), 0.0F);
    }
  }
}

void WeightTiles::ToWeights(const RowTile& tile, Range keys, SeenKeys& seen, float* products, Scratch& scratch) const {
  if (seen.any && changes_scores_) {
    ForEachRun(problem_, tile, [&](const QueryTile& run) {
      ChangeScores(problem_, execution_.tensors(), run, keys, ScoreStage::kComplete, products, scratch.added());
    });
  }
  for (std::int64_t row = 0; row < tile.count; ++row) {
    const auto i = static_cast<std::size_t>(row);
    float* const weights = products + row * kKeyTileKeys;
    if (tile.constant_weight[i] != RowTile::kComputed) {
      std::fill_n(weights, keys.size(), tile.constant_weight[i]);
      seen.columns[i] = {.begin = 0, .end = tile.constant_weight[i] > 0 ? keys.size() : 0};
      seen.bytes[i] = nullptr;
    } else if (!seen.any) {
      std::fill_n(weights, keys.size(), 0.0F);
    } else {
      kernels::ScoresToWeights(weights, keys.size(), seen.columns[i], seen.bytes[i], scale_log2e_,
                               tile.states[i].maximum, tile.states[i].sum);
    }
  }
}

}  // namespace attnd::core
