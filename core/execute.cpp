#include "core/execute.h"

#include <absl/cleanup/cleanup.h>

#include <algorithm>
#include <bitset>
#include <cassert>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numbers>
#include <set>

#include "core/scores.h"
#include "core/values.h"

namespace attnd::core {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Where a row's sum of weighted values overflows although their mean does not, its tile is computed again with weights
// that are smaller by this. A power of two changes no bits, and 2^32 of the largest values then add up to a float32.
constexpr float kOverflowFactor = 0x1p-33F;

// What the tiles of a problem need products for.
struct TileShapes {
  std::vector<std::int64_t> query_rows;
  std::vector<std::int64_t> padded_keys;
};

TileShapes ShapesOf(const Problem& problem, const Plan& plan) {
  std::bitset<kQueryTileRows + 1> rows;
  std::set<std::int64_t> padded_keys;
  const std::int64_t entries = problem.is_ragged() ? problem.batch : 1;  // the others are like the first
  for (std::int64_t entry = 0; entry < entries; ++entry) {
    const Sequence sequence = problem.SequenceAt(entry);
    const SequenceTiles tiles = TilesOf(sequence);
    if (tiles.query_tiles == 0) continue;
    rows.set(static_cast<std::size_t>(QueryTileRows(0, sequence.rows).size()));
    rows.set(static_cast<std::size_t>(QueryTileRows(tiles.query_tiles - 1, sequence.rows).size()));
    if (tiles.key_tiles == 0) continue;
    padded_keys.insert(plan.PaddedKeys(KeyTileKeys(0, sequence.keys)));
    padded_keys.insert(plan.PaddedKeys(KeyTileKeys(tiles.key_tiles - 1, sequence.keys)));
  }
  TileShapes shapes{.query_rows = {}, .padded_keys = {padded_keys.begin(), padded_keys.end()}};
  for (std::size_t count = 1; count < rows.size(); ++count) {
    if (rows.test(count)) shapes.query_rows.push_back(static_cast<std::int64_t>(count));
  }
  return shapes;
}

}  // namespace

Execution::Execution(const Problem& problem, const Tensors& tensors, std::shared_ptr<kernels::Products> products)
    : problem_(problem),
      tensors_(tensors),
      products_(std::move(products)),
      plan_(MakePlan(problem_, products_->operand_type())),
      changes_scores_(ChangesScores(problem_)),
      scale_log2e_(static_cast<float>((changes_scores_ ? 1 : problem.scale) * std::numbers::log2e)),
      element_size_bytes_(static_cast<std::int64_t>(ElementSizeBytes(problem.element_type))),
      operand_size_bytes_(static_cast<std::int64_t>(ElementSizeBytes(products_->operand_type()))) {}

void Execution::Prepare() {
  const TileShapes shapes = ShapesOf(problem_, plan_);
  for (const std::int64_t padded_keys : shapes.padded_keys) {
    const kernels::TileSizes sizes{.keys = padded_keys,
                                   .head_size = plan_.padded_head_size,
                                   .value_head_size = plan_.padded_value_head_size,
                                   .scores_stride = kKeyTileKeys};
    products_of_tiles_.emplace_back(*products_, sizes, shapes.query_rows);
  }
}

const kernels::TileProducts& Execution::ProductsFor(Range keys) const {
  const std::int64_t padded_keys = plan_.PaddedKeys(keys);
  const auto found = std::find_if(products_of_tiles_.begin(), products_of_tiles_.end(),
                                  [&](const auto& products) { return products.padded_keys() == padded_keys; });
  assert(found != products_of_tiles_.end());
  return *found;
}

std::int64_t Execution::ElementOf(const Strides& strides, std::int64_t batch_entry, std::int64_t head,
                                  std::int64_t row) {
  return batch_entry * strides.batch + head * strides.head + row * strides.row;
}

const std::byte* Execution::Row(const void* data, const Strides& strides, std::int64_t batch_entry, std::int64_t head,
                                std::int64_t row) const {
  return static_cast<const std::byte*>(data) + ElementOf(strides, batch_entry, head, row) * element_size_bytes_;
}

void Execution::LoadRow(const void* from, std::int64_t count, std::int64_t padded_count, void* to) const {
  if (plan_.operand_type == problem_.element_type) {
    std::memcpy(to, from, static_cast<std::size_t>(count * operand_size_bytes_));
  } else {
    kernels::ToFloat32(problem_.element_type, from, count, static_cast<float*>(to));
  }
  std::memset(static_cast<std::byte*>(to) + count * operand_size_bytes_, 0,
              static_cast<std::size_t>((padded_count - count) * operand_size_bytes_));
}

// --- Packing ---

void Execution::Pack(std::int64_t group, std::int64_t key_tile, PackedKv& packed, Scratch& scratch) const {
  const Sequence sequence = SequenceOf(group);
  const Range keys = KeyTileKeys(key_tile, sequence.keys);
  PackKeys(group, sequence, keys, packed.keys(key_tile), scratch);
  const kernels::ValueKinds kinds = PackValues(group, sequence, keys, packed.values(key_tile), scratch);
  const Values values(problem_, tensors_.value, group / problem_.key_value_heads, sequence,
                      group % problem_.key_value_heads);
  packed.set_has_large_values(key_tile, kinds.large);
  if (kinds.non_finite) packed.set_non_finite_sums(key_tile, values.NonFiniteSums(keys));
  if (key_tile == 0 && problem_.empty_row == EmptyRow::kMeanOfAllValues) packed.value_mean = values.Mean();
}

void Execution::PackKeys(std::int64_t group, const Sequence& sequence, Range keys, std::byte* packed,
                         Scratch& scratch) const {
  const kernels::TileProducts& products = ProductsFor(keys);
  const std::int64_t row_size_bytes = plan_.padded_head_size * operand_size_bytes_;
  const std::int64_t padded_keys = plan_.PaddedKeys(keys);
  auto* plain = static_cast<std::byte*>(scratch.panel());
  for (std::int64_t panel = 0; panel < kernels::TileProducts::Panels(padded_keys); ++panel) {
    const std::int64_t columns = kernels::TileProducts::PanelColumns(padded_keys, panel);
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t key = keys.begin + panel * kernels::kPanelColumns + column;
      const std::int64_t count = key < keys.end ? problem_.head_size : 0;
      LoadRow(Row(tensors_.key, problem_.key_strides, group / problem_.key_value_heads,
                  group % problem_.key_value_heads, sequence.first_key + std::min(key, keys.end - 1)),
              count, plan_.padded_head_size, plain + column * row_size_bytes);
    }
    products.PackKeyPanel(panel, plain, packed);
    packed += columns * row_size_bytes;
  }
}

kernels::ValueKinds Execution::PackValues(std::int64_t group, const Sequence& sequence, Range keys, std::byte* packed,
                                          Scratch& scratch) const {
  const kernels::TileProducts& products = ProductsFor(keys);
  const std::int64_t padded_keys = plan_.PaddedKeys(keys);
  kernels::ValueKinds kinds;
  for (std::int64_t panel = 0; panel < kernels::TileProducts::Panels(plan_.padded_value_head_size); ++panel) {
    const std::int64_t columns = kernels::TileProducts::PanelColumns(plan_.padded_value_head_size, panel);
    const std::int64_t first = panel * kernels::kPanelColumns;
    const std::int64_t count = std::min(columns, problem_.value_head_size - first);
    const std::int64_t row_size_bytes = columns * operand_size_bytes_;
    std::byte* plain = products.packs_values() ? static_cast<std::byte*>(scratch.panel()) : packed;
    for (std::int64_t row = 0; row < padded_keys; ++row) {
      const std::int64_t key = std::min(keys.begin + row, keys.end - 1);
      const std::byte* from = Row(tensors_.value, problem_.value_strides, group / problem_.key_value_heads,
                                  group % problem_.key_value_heads, sequence.first_key + key);
      LoadRow(from + first * element_size_bytes_, row < keys.size() ? count : 0, columns, plain + row * row_size_bytes);
    }
    const auto panel_kinds = kernels::ReplaceNonFinite(plan_.operand_type, plain, padded_keys * columns);
    kinds.non_finite |= panel_kinds.non_finite;
    kinds.large |= panel_kinds.large;
    if (products.packs_values()) products.PackValuePanel(panel, plain, packed);
    packed += padded_keys * row_size_bytes;
  }
  return kinds;
}

// --- Computing ---

TileResult Execution::Compute(std::int64_t group, std::int64_t head_in_group, std::int64_t query_tile,
                              const PackedKv& packed, absl::FunctionRef<bool()> give_up, Scratch& scratch) const {
  const Sequence sequence = SequenceOf(group);
  const std::int64_t key_value_head = group % problem_.key_value_heads;
  const QueryTile tile{.batch_entry = group / problem_.key_value_heads,
                       .query_head = key_value_head * plan_.query_heads_per_group + head_in_group,
                       .key_value_head = key_value_head,
                       .sequence = sequence,
                       .rows = QueryTileRows(query_tile, sequence.rows)};
  TileResult result;
  const absl::Cleanup release = [this] { products_->ReleaseThread(); };
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
    const kernels::TileProducts& products = ProductsFor(keys);
    products.Scores(tile.rows.size(), scratch.query(), packed.keys(key_tile), scratch.scores());
    if (changes_scores_) {
      ChangeScores(problem_, tensors_, tile, keys, ScoreStage::kComplete, scratch.scores(), scratch.added());
    }
    if (tensors_.weights != nullptr) KeepScores(tile, keys, scratch);
    UpdateSoftmax(tile, keys, scratch);
    if (scratch.weights_factor != 1) ScaleWeights(tile, keys, scratch);
    kernels::ScaleRows(scratch.sums(), tile.rows.size(), plan_.padded_value_head_size, scratch.factor.data());
    products.AddSums(tile.rows.size(), WeightsOperand(scratch), packed.values(key_tile), scratch.sums());
    ++result.computed_tiles;
    result.floating_point_operations += 2.0 * static_cast<double>(tile.rows.size() * keys.size()) *
                                        static_cast<double>(problem_.head_size + problem_.value_head_size);
  }
  return true;
}

bool Execution::SumsAreFinite(const QueryTile& tile, Scratch& scratch) const {
  const float* sums = scratch.sums();
  return std::all_of(sums, sums + tile.rows.size() * plan_.padded_value_head_size,
                     [](float sum) { return std::isfinite(sum); });
}

void Execution::StartTile(const QueryTile& tile, Scratch& scratch) const {
  auto* query = static_cast<std::byte*>(scratch.query());
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    const std::int64_t count = IsPadding(tile, row) ? 0 : problem_.head_size;
    LoadRow(Row(tensors_.query, problem_.query_strides, tile.batch_entry, tile.query_head,
                tile.sequence.first_row + tile.rows.begin + row),
            count, plan_.padded_head_size, query);
    query += plan_.padded_head_size * operand_size_bytes_;
  }
  // A sink is a key of this score, which every row sees and whose value is 0.
  const float sink =
      problem_.sinks.empty() ? kMinusInfinity : problem_.sinks[static_cast<std::size_t>(tile.query_head)];
  scratch.maximum.fill(static_cast<float>(sink * std::numbers::log2e));
  scratch.sum.fill(sink == kMinusInfinity ? 0.0F : 1.0F);
  scratch.seen.fill(0);
  std::fill_n(scratch.sums(), kQueryTileRows * plan_.padded_value_head_size, 0.0F);
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
  return plan_.operand_type == ElementType::kFloat32 ? scratch.scores() : scratch.half_weights();
}

void Execution::UpdateSoftmax(const QueryTile& tile, Range keys, Scratch& scratch) const {
  kernels::SoftmaxTile softmax;
  softmax.rows = tile.rows.size();
  softmax.columns = plan_.PaddedKeys(keys);
  softmax.stride = kKeyTileKeys;
  softmax.scores = scratch.scores();
  softmax.scale_log2e = scale_log2e_;
  softmax.visible = scratch.visibility.columns.data();
  softmax.mask = scratch.visibility.bytes;
  softmax.mask_row_stride = kKeyTileKeys;
  softmax.weights = WeightsOperand(scratch);
  softmax.weights_type = plan_.operand_type;
  softmax.maximum = scratch.maximum.data();
  softmax.sum = scratch.sum.data();
  softmax.seen = scratch.seen.data();
  softmax.factor = scratch.factor.data();
  kernels::UpdateSoftmax(softmax);
}

void Execution::ScaleWeights(const QueryTile& tile, Range keys, Scratch& scratch) const {
  auto* weights = static_cast<std::byte*>(WeightsOperand(scratch));
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    kernels::Scale(plan_.operand_type, weights + row * kKeyTileKeys * operand_size_bytes_, plan_.PaddedKeys(keys),
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
    float* sums = scratch.sums() + row * plan_.padded_value_head_size;
    kernels::DivideRow(sums, problem_.value_head_size, scratch.sum[index] * scratch.weights_factor, sums);
  }
  AddNonFiniteValues(tile, packed, scratch);
  if (tensors_.weights != nullptr) FinishWeights(tile, scratch);
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    FinishOutput(tile, row, packed, scratch);
    if (tensors_.log_sum_exp != nullptr) FinishLogSumExp(tile, row, scratch);
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
      float* output = scratch.sums() + row * plan_.padded_value_head_size;
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
  float* output = scratch.sums() + row * plan_.padded_value_head_size;
  const bool is_empty = scratch.seen[static_cast<std::size_t>(row)] == 0 && !IsPadding(tile, row);
  // Of rows without a visible key the sums are 0.
  if (is_empty && problem_.empty_row == EmptyRow::kMeanOfAllValues) {
    std::copy(packed.value_mean.begin(), packed.value_mean.end(), output);
  }
  const std::int64_t element = ElementOf(problem_.output_strides, tile.batch_entry, tile.query_head,
                                         tile.sequence.first_row + tile.rows.begin + row);
  kernels::FromFloat32(output, problem_.value_head_size, problem_.element_type,
                       static_cast<std::byte*>(tensors_.output) + element * element_size_bytes_);
}

void Execution::FinishLogSumExp(const QueryTile& tile, std::int64_t row, Scratch& scratch) const {
  const auto index = static_cast<std::size_t>(row);
  // From powers of two to the natural logarithm, in double: maximum is large beside what it must be exact to.
  const double log_sum_exp =
      scratch.maximum[index] * std::numbers::ln2 + std::log(static_cast<double>(scratch.sum[index]));
  tensors_.log_sum_exp[RowIndex(tile, row)] = IsPadding(tile, row) ? kMinusInfinity : static_cast<float>(log_sum_exp);
}

}  // namespace attnd::core
