#include "core/execute.h"

#include <absl/cleanup/cleanup.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "core/scores.h"
#include "core/values.h"

namespace attnd::core {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Where a row's sum of weighted values overflows although their mean does not, its tile is computed again with weights
// that are smaller by this. A power of two changes no bits, and 2^32 of the largest values then add up to a float32.
constexpr float kOverflowFactor = 0x1p-33F;

}  // namespace

Execution::Execution(const Problem& problem, const Tensors& tensors, std::shared_ptr<kernels::Products> products)
    : problem_(problem),
      tensors_(tensors),
      operands_(problem_, tensors, std::move(products)),
      changes_scores_(ChangesScores(problem_)),
      scale_log2e_(ScaleToPowersOfTwo(problem_)) {}

void Execution::Prepare(RowStates* row_states) {
  row_states_ = row_states;
  operands_.Prepare();
}

// --- Packing ---

void Execution::Pack(std::int64_t group, std::int64_t key_tile, PackedKv& packed, Scratch& scratch) const {
  const Sequence sequence = SequenceOf(group);
  const Range keys = KeyTileKeys(key_tile, sequence.keys);
  operands_.PackKeys(group, sequence, keys, packed.keys(key_tile), scratch);
  const kernels::ValueKinds kinds = operands_.PackValues(group, sequence, keys, packed.values(key_tile), scratch);
  const Values values(problem_, tensors_.value, group / problem_.key_value_heads, sequence,
                      group % problem_.key_value_heads);
  packed.set_has_large_values(key_tile, kinds.large);
  if (kinds.non_finite) packed.set_non_finite_sums(key_tile, values.NonFiniteSums(keys));
  if (key_tile == 0 && problem_.empty_row == EmptyRow::kMeanOfAllValues) packed.value_mean = values.Mean();
}

// --- Computing ---

TileResult Execution::Compute(std::int64_t group, std::int64_t head_in_group, std::int64_t query_tile,
                              const PackedKv& packed, absl::FunctionRef<bool()> give_up, Scratch& scratch) const {
  const Sequence sequence = SequenceOf(group);
  const std::int64_t key_value_head = group % problem_.key_value_heads;
  const QueryTile tile{.batch_entry = group / problem_.key_value_heads,
                       .query_head = key_value_head * plan().query_heads_per_group + head_in_group,
                       .key_value_head = key_value_head,
                       .sequence = sequence,
                       .rows = QueryTileRows(query_tile, sequence.rows)};
  TileResult result;
  const absl::Cleanup release = [this] { operands_.ReleaseThread(); };
  FindRowKeys(problem_, tile, scratch.row_keys.data());
  scratch.weights_factor = 1;
  if (!AttendToKeys(tile, packed, give_up, scratch, result)) return result;
  if (packed.has_large_values() && !SumsAreFinite(tile, scratch)) {
    scratch.weights_factor = kOverflowFactor;
    if (!AttendToKeys(tile, packed, give_up, scratch, result)) return result;
  }
  FinishTile(tile, packed, scratch, result);
  return result;
}

TileKind Execution::LookAt(const QueryTile& tile, Range keys, Scratch& scratch) const {
  return FindVisibility(problem_, tensors_, tile, keys, scratch.row_keys.data(), scratch.mask_bytes(),
                        scratch.visibility);
}

bool Execution::AttendToKeys(const QueryTile& tile, const PackedKv& packed, absl::FunctionRef<bool()> give_up,
                             Scratch& scratch, TileResult& result) const {
  StartTile(tile, scratch);
  const std::int64_t key_tiles = TilesOf(tile.sequence).key_tiles;
  for (std::int64_t key_tile = 0; key_tile < key_tiles; ++key_tile) {
    if (give_up()) return false;
    const Range keys = KeyTileKeys(key_tile, tile.sequence.keys);
    if (LookAt(tile, keys, scratch) == TileKind::kHidden) {
      ++result.skipped_tiles;
      continue;
    }
    const kernels::TileProducts& products = operands_.ProductsFor(keys);
    products.Scores(tile.rows.size(), scratch.query(), packed.keys(key_tile), scratch.scores());
    if (changes_scores_) {
      ChangeScores(problem_, tensors_, tile, keys, ScoreStage::kComplete, scratch.scores(), scratch.added());
    }
    if (tensors_.weights != nullptr) KeepScores(tile, keys, scratch);
    UpdateSoftmax(tile, keys, scratch);
    if (scratch.weights_factor != 1) ScaleWeights(tile, keys, scratch);
    kernels::ScaleRows(scratch.sums(), tile.rows.size(), plan().padded_value_head_size, scratch.factor.data());
    products.AddSums(tile.rows.size(), WeightsOperand(scratch), packed.values(key_tile), scratch.sums());
    ++result.computed_tiles;
    result.floating_point_operations += 2.0 * static_cast<double>(tile.rows.size() * keys.size()) *
                                        static_cast<double>(problem_.head_size + problem_.value_head_size);
  }
  return true;
}

bool Execution::SumsAreFinite(const QueryTile& tile, Scratch& scratch) const {
  const float* sums = scratch.sums();
  return std::all_of(sums, sums + tile.rows.size() * plan().padded_value_head_size,
                     [](float sum) { return std::isfinite(sum); });
}

void Execution::StartTile(const QueryTile& tile, Scratch& scratch) const {
  auto* query = static_cast<std::byte*>(scratch.query());
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    operands_.LoadQuery(tile.batch_entry, tile.query_head, tile.sequence, tile.rows.begin + row, query);
    query += operands_.QuerySizeBytes();
  }
  // A sink is a key of this score, which every row sees and whose value is 0.
  const float sink =
      problem_.sinks.empty() ? kMinusInfinity : problem_.sinks[static_cast<std::size_t>(tile.query_head)];
  scratch.maximum.fill(static_cast<float>(sink * std::numbers::log2e));
  scratch.sum.fill(sink == kMinusInfinity ? 0.0F : 1.0F);
  scratch.seen.fill(0);
  std::fill_n(scratch.sums(), kQueryTileRows * plan().padded_value_head_size, 0.0F);
}

std::int64_t Execution::RowIndex(const QueryTile& tile, std::int64_t row) const {
  return ElementOf(problem_.row_strides, tile.batch_entry, tile.query_head,
                   tile.sequence.first_row + tile.rows.begin + row);
}

float* Execution::WeightsRow(const QueryTile& tile, std::int64_t row) const {
  return tensors_.weights + RowIndex(tile, row) * problem_.keys;
}

bool Execution::IsPadding(const QueryTile& tile, std::int64_t row) const {
  return tile.rows.begin + row >= tile.sequence.query_length;
}

void Execution::KeepScores(const QueryTile& tile, Range keys, Scratch& scratch) const {
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    const float* scores = scratch.scores() + row * kKeyTileKeys;
    std::copy_n(scores, keys.size(), WeightsRow(tile, row) + keys.begin);
  }
}

void* Execution::WeightsOperand(Scratch& scratch) const {
  return plan().operand_type == ElementType::kFloat32 ? scratch.scores() : scratch.half_weights();
}

void Execution::UpdateSoftmax(const QueryTile& tile, Range keys, Scratch& scratch) const {
  kernels::SoftmaxTile softmax;
  softmax.rows = tile.rows.size();
  softmax.columns = plan().PaddedKeys(keys);
  softmax.stride = kKeyTileKeys;
  softmax.scores = scratch.scores();
  softmax.scale_log2e = scale_log2e_;
  softmax.visible = scratch.visibility.columns.data();
  softmax.mask = scratch.visibility.bytes;
  softmax.mask_row_stride = kKeyTileKeys;
  softmax.weights = WeightsOperand(scratch);
  softmax.weights_type = plan().operand_type;
  softmax.maximum = scratch.maximum.data();
  softmax.sum = scratch.sum.data();
  softmax.seen = scratch.seen.data();
  softmax.factor = scratch.factor.data();
  kernels::UpdateSoftmax(softmax);
}

void Execution::ScaleWeights(const QueryTile& tile, Range keys, Scratch& scratch) const {
  auto* weights = static_cast<std::byte*>(WeightsOperand(scratch));
  const auto size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan().operand_type));
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    kernels::Scale(plan().operand_type, weights + row * kKeyTileKeys * size_bytes, plan().PaddedKeys(keys),
                   scratch.weights_factor);
  }
}

// --- Finishing a tile ---

void Execution::FinishTile(const QueryTile& tile, const PackedKv& packed, Scratch& scratch, TileResult& result) const {
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    const auto index = static_cast<std::size_t>(row);
    if (scratch.seen[index] == 0) {
      if (!IsPadding(tile, row)) ++result.empty_rows;
      continue;
    }
    float* sums = scratch.sums() + row * plan().padded_value_head_size;
    kernels::DivideRow(sums, problem_.value_head_size, scratch.sum[index] * scratch.weights_factor, sums);
  }
  AddNonFiniteValues(tile, packed, scratch);
  if (tensors_.weights != nullptr) FinishWeights(tile, scratch);
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    FinishOutput(tile, row, packed, scratch);
    if (tensors_.log_sum_exp != nullptr) FinishLogSumExp(tile, row, scratch);
    if (row_states_ != nullptr) FinishState(tile, row, scratch);
  }
}

void Execution::AddNonFiniteValues(const QueryTile& tile, const PackedKv& packed, Scratch& scratch) const {
  const Values values(problem_, tensors_.value, tile.batch_entry, tile.sequence, tile.key_value_head);
  for (std::int64_t key_tile = 0; key_tile < TilesOf(tile.sequence).packed_key_tiles; ++key_tile) {
    const std::vector<float>& sums = packed.non_finite_sums(key_tile);
    if (sums.empty()) continue;
    const Range keys = KeyTileKeys(key_tile, tile.sequence.keys);
    if (LookAt(tile, keys, scratch) == TileKind::kHidden) continue;
    for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
      float* output = scratch.sums() + row * plan().padded_value_head_size;
      const kernels::ColumnInterval visible = scratch.visibility.columns[static_cast<std::size_t>(row)];
      const std::uint8_t* bytes = scratch.visibility.RowBytes(row);
      if (bytes == nullptr && visible.end - visible.begin == keys.size()) {
        std::transform(sums.begin(), sums.end(), output, output, std::plus<>());
        continue;
      }
      for (std::int64_t column = visible.begin; column < visible.end; ++column) {
        if (bytes == nullptr || bytes[column] != 0) values.AddNonFinite(keys.begin + column, output);
      }
    }
  }
}

void Execution::FinishWeights(const QueryTile& tile, Scratch& scratch) const {
  for (std::int64_t key_tile = 0; key_tile < TilesOf(tile.sequence).key_tiles; ++key_tile) {
    const Range keys = KeyTileKeys(key_tile, tile.sequence.keys);
    const bool hidden = LookAt(tile, keys, scratch) == TileKind::kHidden;
    for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
      float* weights = WeightsRow(tile, row) + keys.begin;
      const auto index = static_cast<std::size_t>(row);
      if (hidden || scratch.seen[index] == 0) {
        std::fill_n(weights, keys.size(), 0.0F);
      } else {
        kernels::ScoresToWeights(weights, keys.size(), scratch.visibility.columns[index],
                                 scratch.visibility.RowBytes(row), scale_log2e_, scratch.maximum[index],
                                 scratch.sum[index]);
      }
    }
  }
  const std::int64_t keys = tile.sequence.keys;
  const float mean_weight =
      problem_.empty_row == EmptyRow::kMeanOfAllValues ? 1.0F / static_cast<float>(std::max<std::int64_t>(keys, 1)) : 0;
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    const bool is_empty = scratch.seen[static_cast<std::size_t>(row)] == 0 && !IsPadding(tile, row);
    if (is_empty) std::fill_n(WeightsRow(tile, row), keys, mean_weight);
    // What other sequences of a ragged batch have more keys.
    std::fill_n(WeightsRow(tile, row) + keys, problem_.keys - keys, 0.0F);
  }
}

void Execution::FinishOutput(const QueryTile& tile, std::int64_t row, const PackedKv& packed, Scratch& scratch) const {
  float* output = scratch.sums() + row * plan().padded_value_head_size;
  const bool is_empty = scratch.seen[static_cast<std::size_t>(row)] == 0 && !IsPadding(tile, row);
  // Of rows without a visible key the sums are 0.
  if (is_empty && problem_.empty_row == EmptyRow::kMeanOfAllValues) {
    std::copy(packed.value_mean.begin(), packed.value_mean.end(), output);
  }
  const std::int64_t element = ElementOf(problem_.output_strides, tile.batch_entry, tile.query_head,
                                         tile.sequence.first_row + tile.rows.begin + row);
  kernels::FromFloat32(output, problem_.value_head_size, problem_.element_type,
                       static_cast<std::byte*>(tensors_.output) +
                           element * static_cast<std::int64_t>(ElementSizeBytes(problem_.element_type)));
}

void Execution::FinishLogSumExp(const QueryTile& tile, std::int64_t row, Scratch& scratch) const {
  const auto index = static_cast<std::size_t>(row);
  // From powers of two to the natural logarithm, in double: maximum is large beside what it must be exact to.
  const double log_sum_exp =
      scratch.maximum[index] * std::numbers::ln2 + std::log(static_cast<double>(scratch.sum[index]));
  tensors_.log_sum_exp[RowIndex(tile, row)] = IsPadding(tile, row) ? kMinusInfinity : static_cast<float>(log_sum_exp);
}

void Execution::FinishState(const QueryTile& tile, std::int64_t row, const Scratch& scratch) const {
  const auto index = static_cast<std::size_t>(row);
  row_states_->At(tile.batch_entry, tile.sequence, tile.query_head, tile.rows.begin + row) = {
      .maximum = scratch.maximum[index], .sum = scratch.seen[index] != 0 ? scratch.sum[index] : RowState::kSawNoKey};
}

}  // namespace attnd::core
