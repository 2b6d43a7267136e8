#include "core/summary_piece.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "core/kernels/softmax.h"
#include "core/kernels/weight_sums.h"
#include "core/packed_kv.h"

namespace attnd::core {
namespace {

std::int64_t TileCount(Range rows) { return (rows.size() + kQueryTileRows - 1) / kQueryTileRows; }

bool WantsScores(const SummaryOptions& asked) {
  return asked.matrix.has_value() && asked.matrix->stage != MatrixStage::kWeights;
}

bool WantsWeights(SummaryOptions asked) {
  if (WantsScores(asked)) asked.matrix.reset();
  return HasSummaries(asked);
}

}  // namespace

SummaryPiece::SummaryPiece(const Execution& execution, const WeightTiles& weights, const SummaryResults& results,
                           const SummaryTask& task, absl::FunctionRef<bool()> give_up, Scratch& scratch,
                           SummaryScratch& own)
    : execution_(execution),
      problem_(execution.problem()),
      asked_(problem_.summaries),
      weights_(weights),
      results_(results),
      task_(task),
      give_up_(give_up),
      scratch_(scratch),
      own_(own),
      sequence_(problem_.SequenceAt(results.layout().BatchEntry(task.entry))),
      wants_scores_(WantsScores(asked_)),
      wants_hidden_scores_(wants_scores_ && asked_.matrix->stage != MatrixStage::kMasked),
      wants_weights_(WantsWeights(asked_)) {}

void SummaryPiece::Run() {
  switch (task_.kind) {
    case SummaryTask::Kind::kRows:
      return RunRows();
    case SummaryTask::Kind::kCombinedRows:
      return RunCombinedRows();
    case SummaryTask::Kind::kKeys:
      return RunKeys();
  }
}

void SummaryPiece::StartTile(std::int64_t head, Range rows, RowTile& tile) {
  tile.batch_entry = results_.layout().BatchEntry(task_.entry);
  tile.query_head = results_.layout().QueryHead(head);
  tile.sequence = sequence_;
  tile.count = rows.size();
  for (std::int64_t row = 0; row < tile.count; ++row) {
    tile.rows[static_cast<std::size_t>(row)] = results_.layout().QueryRow(task_.entry, rows.begin + row);
  }
  weights_.Start(tile);
}

void SummaryPiece::StartTiles(std::int64_t head, Range rows) {
  for (std::int64_t index = 0; index < TileCount(rows); ++index) {
    StartTile(head, TileRows(rows, index), own_.tiles[static_cast<std::size_t>(index)]);
  }
}

void SummaryPiece::StartTopKeys(Range rows) {
  const std::int64_t candidates = TopKeys::Candidates(asked_.top_keys);
  for (std::int64_t row = 0; row < rows.size(); ++row) {
    own_.top_keys[static_cast<std::size_t>(row)].Start(own_.candidates() + row * candidates, asked_.top_keys);
  }
}

void SummaryPiece::ComputeProducts(RowTile& tile, Range keys, bool even_hidden, bool& is_packed) {
  weights_.Look(tile, keys, scratch_, own_.seen);
  if (!own_.seen.any && !even_hidden) return;
  const std::int64_t key_value_head = tile.query_head / (problem_.query_heads / problem_.key_value_heads);
  const std::int64_t group = tile.batch_entry * problem_.key_value_heads + key_value_head;
  if (const PackedKv* packed = execution_.PackedBefore(group)) {
    weights_.ComputeProducts(tile, keys, packed->keys(keys.begin / kKeyTileKeys), scratch_.scores());
  } else {
    if (!is_packed) execution_.operands().PackKeys(group, sequence_, keys, keys.end, own_.packed_keys(), scratch_);
    is_packed = true;
    weights_.ComputeProducts(tile, keys, own_.packed_keys(), scratch_.scores());
  }
  ++computed_tiles_;
}

const float* SummaryPiece::ScoresAtStage(const RowTile& tile, Range keys) {
  const std::int64_t count = tile.count * kKeyTileKeys;
  if (own_.seen.any || wants_hidden_scores_) {
    std::copy_n(scratch_.scores(), count, own_.scores());
    weights_.ToStage(tile, keys, asked_.matrix->stage, own_.seen, own_.scores(), scratch_);
  } else {
    std::fill_n(own_.scores(), count, -std::numeric_limits<float>::infinity());
  }
  return own_.scores();
}

void SummaryPiece::WriteMatrixRows(std::int64_t head, Range rows, Range keys, const float* numbers) const {
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    results_.WriteMatrix(task_.entry, head, row, keys, numbers);
    numbers += kKeyTileKeys;
  }
}

// --- What the weights of rows say ---

void SummaryPiece::RunRows() {
  const std::int64_t head = task_.heads.begin;
  std::optional<PooledCells> cells;
  if (asked_.pooled_map.has_value()) {
    cells.emplace(*asked_.pooled_map, task_.map_rows, results_.layout().Rows(task_.entry), sequence_.keys,
                  own_.cells());
    cells->Clear();
  }
  for (std::int64_t begin = task_.rows.begin; begin < task_.rows.end; begin += kChunkRows) {
    const Range rows{.begin = begin, .end = std::min(begin + kChunkRows, task_.rows.end)};
    StartTiles(head, rows);
    own_.figures.fill({});
    StartTopKeys(rows);
    for (std::int64_t key_tile = 0; key_tile < TilesOf(sequence_).key_tiles; ++key_tile) {
      if (give_up_()) return;
      bool is_packed = false;
      for (std::int64_t index = 0; index < TileCount(rows); ++index) {
        AddKeyTile(rows, index, KeyTileKeys(key_tile, sequence_.keys), cells.has_value() ? &*cells : nullptr,
                   is_packed);
      }
    }
    FinishRows(rows);
  }
  if (cells.has_value()) results_.AddMap(task_.entry, head, task_.map_rows, *cells);
}

void SummaryPiece::AddKeyTile(Range rows, std::int64_t index, Range keys, PooledCells* cells, bool& is_packed) {
  const std::int64_t head = task_.heads.begin;
  RowTile& tile = own_.tiles[static_cast<std::size_t>(index)];
  const bool is_whole = !results_.layout().reduces_heads();  // else the matrix and the top keys are of combined heads
  const bool writes_matrix = is_whole && asked_.matrix.has_value();
  const Range tile_rows = TileRows(rows, index);
  ComputeProducts(tile, keys, writes_matrix && wants_hidden_scores_, is_packed);
  if (writes_matrix && wants_scores_) WriteMatrixRows(head, tile_rows, keys, ScoresAtStage(tile, keys));
  if (!wants_weights_) return;
  const bool writes_weights = writes_matrix && !wants_scores_;
  if (!own_.seen.any && !tile.has_mean_rows && !writes_weights) return;
  weights_.ToWeights(tile, keys, own_.seen, scratch_.scores(), scratch_);
  AddToRows(tile, index * kQueryTileRows, keys);
  if (cells != nullptr) cells->Add(scratch_.scores(), tile_rows, keys);
  if (writes_weights) WriteMatrixRows(head, tile_rows, keys, scratch_.scores());
}

void SummaryPiece::AddToRows(const RowTile& tile, std::int64_t first, Range keys) {
  const bool is_whole = !results_.layout().reduces_heads();
  const std::int64_t first_keys = std::clamp(asked_.first_keys - keys.begin, std::int64_t{0}, keys.size());
  for (std::int64_t row = 0; row < tile.count; ++row) {
    const auto i = static_cast<std::size_t>(row);
    const kernels::ColumnInterval seen = own_.seen.columns[i];
    if (seen.begin >= seen.end) continue;
    const float* const weights = scratch_.scores() + row * kKeyTileKeys;
    RowFigures& figures = own_.figures[static_cast<std::size_t>(first + row)];
    if (asked_.entropy) figures.entropy += kernels::Entropy(weights, keys.size());
    if (first_keys > 0) figures.first_keys_weight += kernels::Sum(weights, first_keys);
    if (asked_.mean_distance) {
      const std::int64_t position = tile.rows[i] + sequence_.offset - keys.begin;
      figures.mean_distance += kernels::Distance(weights, keys.size(), static_cast<float>(position));
    }
    if (asked_.largest_weight) {
      const float largest = kernels::Largest(weights, keys.size());
      if (largest > figures.largest_weight || std::isnan(largest)) figures.largest_weight = largest;
    }
    if (is_whole && asked_.top_keys > 0) {
      own_.top_keys[static_cast<std::size_t>(first + row)].Offer(weights, keys.begin, seen, own_.seen.bytes[i]);
    }
  }
}

void SummaryPiece::FinishRows(Range rows) {
  const std::int64_t head = task_.heads.begin;
  const bool is_whole = !results_.layout().reduces_heads();
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const auto i = static_cast<std::size_t>(row - rows.begin);
    results_.AddFigures(task_.entry, head, row, own_.figures[i]);
    if (!is_whole) continue;
    if (asked_.top_keys > 0) results_.WriteTopKeys(task_.entry, head, row, own_.top_keys[i]);
    if (asked_.matrix.has_value()) {
      results_.ClearMatrix(task_.entry, head, row, {.begin = sequence_.keys, .end = problem_.keys});
    }
  }
}

// --- What the combined weights of all heads say ---

void SummaryPiece::RunCombinedRows() {
  const Range rows = task_.rows;
  StartTopKeys(rows);
  for (std::int64_t key_tile = 0; key_tile < TilesOf(sequence_).key_tiles; ++key_tile) {
    const Range keys = KeyTileKeys(key_tile, sequence_.keys);
    for (std::int64_t index = 0; index < TileCount(rows); ++index) {
      std::fill_n(own_.combined_weights(index), kQueryTileRows * kKeyTileKeys, 0.0F);
      std::fill_n(own_.combined_seen(index), kQueryTileRows * kKeyTileKeys, std::uint8_t{0});
      if (wants_scores_) std::fill_n(own_.combined_scores(index), kQueryTileRows * kKeyTileKeys, 0.0F);
    }
    for (std::int64_t head = task_.heads.begin; head < task_.heads.end; ++head) {
      if (give_up_()) return;
      bool is_packed = false;
      StartTiles(head, rows);
      for (std::int64_t index = 0; index < TileCount(rows); ++index) {
        AddHead(own_.tiles[static_cast<std::size_t>(index)], index, keys, is_packed);
      }
    }
    for (std::int64_t index = 0; index < TileCount(rows); ++index) FinishCombined(rows, index, keys);
  }
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    if (asked_.top_keys > 0) {
      results_.WriteTopKeys(task_.entry, 0, row, own_.top_keys[static_cast<std::size_t>(row - rows.begin)]);
    }
    if (asked_.matrix.has_value()) {
      results_.ClearMatrix(task_.entry, 0, row, {.begin = sequence_.keys, .end = problem_.keys});
    }
  }
}

void SummaryPiece::AddHead(RowTile& tile, std::int64_t index, Range keys, bool& is_packed) {
  ComputeProducts(tile, keys, wants_hidden_scores_, is_packed);
  const std::int64_t count = tile.count * kKeyTileKeys;
  if (wants_scores_) kernels::Add(ScoresAtStage(tile, keys), count, own_.combined_scores(index));
  const bool wants_weights = asked_.top_keys > 0 || !wants_scores_;
  if (!wants_weights || (!own_.seen.any && !tile.has_mean_rows)) return;
  weights_.ToWeights(tile, keys, own_.seen, scratch_.scores(), scratch_);
  for (std::int64_t row = 0; row < tile.count; ++row) {
    const auto i = static_cast<std::size_t>(row);
    kernels::Add(scratch_.scores() + row * kKeyTileKeys, keys.size(),
                 own_.combined_weights(index) + row * kKeyTileKeys);
    std::uint8_t* const seen = own_.combined_seen(index) + row * kKeyTileKeys;
    const std::uint8_t* const bytes = own_.seen.bytes[i];
    for (std::int64_t c = own_.seen.columns[i].begin; c < own_.seen.columns[i].end; ++c) {
      seen[c] = static_cast<std::uint8_t>(seen[c] | (bytes == nullptr ? 1 : bytes[c]));
    }
  }
}

void SummaryPiece::FinishCombined(Range rows, std::int64_t index, Range keys) {
  const Range tile_rows = TileRows(rows, index);
  const std::int64_t count = tile_rows.size() * kKeyTileKeys;
  float* const weights = own_.combined_weights(index);
  kernels::DivideRow(weights, count, results_.Divisor(), weights);
  if (wants_scores_) {
    float* const scores = own_.combined_scores(index);
    kernels::DivideRow(scores, count, results_.Divisor(), scores);
    WriteMatrixRows(0, tile_rows, keys, scores);
  } else if (asked_.matrix.has_value()) {
    WriteMatrixRows(0, tile_rows, keys, weights);
  }
  if (asked_.top_keys == 0) return;
  for (std::int64_t row = 0; row < tile_rows.size(); ++row) {
    own_.top_keys[static_cast<std::size_t>(index * kQueryTileRows + row)].Offer(
        weights + row * kKeyTileKeys, keys.begin, {.begin = 0, .end = keys.size()},
        own_.combined_seen(index) + row * kKeyTileKeys);
  }
}

// --- What keys receive ---

void SummaryPiece::RunKeys() {
  const std::int64_t head = task_.heads.begin;
  const Range keys = KeyTileKeys(task_.key_tile, sequence_.keys);
  RowTile& tile = own_.tiles[0];
  bool is_packed = false;
  std::array<double, kKeyTileKeys> sums{};
  std::array<float, kKeyTileKeys> maxima{};
  for (std::int64_t index = 0; index < TileCount(task_.rows); ++index) {
    if (give_up_()) return;
    StartTile(head, TileRows(task_.rows, index), tile);
    ComputeProducts(tile, keys, false, is_packed);
    if (!own_.seen.any && !tile.has_mean_rows) continue;
    weights_.ToWeights(tile, keys, own_.seen, scratch_.scores(), scratch_);
    std::array<float, kKeyTileKeys> of_tile;
    kernels::ColumnSums(scratch_.scores(), tile.count, keys.size(), kKeyTileKeys, of_tile.data());
    std::transform(of_tile.begin(), of_tile.begin() + keys.size(), sums.begin(), sums.begin(),
                   [](float weight, double sum) { return sum + weight; });
    if (!asked_.received_maximum) continue;
    kernels::ColumnMaxima(scratch_.scores(), tile.count, keys.size(), kKeyTileKeys, of_tile.data());
    std::transform(
        of_tile.begin(), of_tile.begin() + keys.size(), maxima.begin(), maxima.begin(),
        [](float weight, float maximum) { return weight > maximum || std::isnan(weight) ? weight : maximum; });
  }
  results_.AddReceived(task_.entry, head, keys, sums.data(), maxima.data());
}

}  // namespace attnd::core
