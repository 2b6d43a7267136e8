#include "core/execute.h"

#include <absl/cleanup/cleanup.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numbers>

#include "core/kernels/softmax.h"
#include "core/tiles.h"
#include "core/values.h"

namespace attnd::core {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Where a row's sum of weighted values overflows although their mean does not, its tile is computed again with weights
// that are smaller by this. A power of two changes no bits, and 2^32 of the largest values then add up to a float32.
constexpr float kOverflowFactor = 0x1p-33F;

std::int64_t RowsInLastTile(const Plan& plan) { return plan.QueryTile(plan.query_tiles - 1).size(); }

}  // namespace

Execution::Execution(const Problem& problem, const Tensors& tensors, std::shared_ptr<kernels::Products> products)
    : problem_(problem),
      tensors_(tensors),
      products_(std::move(products)),
      plan_(MakePlan(problem_, products_->operand_type())),
      scale_log2e_(static_cast<float>(problem.scale * std::numbers::log2e)),
      element_size_bytes_(static_cast<std::int64_t>(ElementSizeBytes(problem.element_type))),
      operand_size_bytes_(static_cast<std::int64_t>(ElementSizeBytes(products_->operand_type()))) {}

void Execution::Prepare() {
  kernels::TileSizes sizes;
  sizes.head_size = plan_.padded_head_size;
  sizes.value_head_size = plan_.padded_value_head_size;
  sizes.scores_stride = kKeyTileKeys;
  const std::int64_t rows = plan_.QueryTile(0).size();
  if (plan_.keys >= kKeyTileKeys) {
    sizes.keys = kKeyTileKeys;
    whole_tile_.emplace(*products_, sizes, rows, RowsInLastTile(plan_));
  }
  if (plan_.keys % kKeyTileKeys != 0) {
    sizes.keys = plan_.PaddedKeys(plan_.KeyTile(plan_.key_tiles - 1));
    last_tile_.emplace(*products_, sizes, rows, RowsInLastTile(plan_));
  }
}

const kernels::TileProducts& Execution::ProductsFor(Range keys) const {
  return keys.size() == kKeyTileKeys ? *whole_tile_ : *last_tile_;
}

const void* Execution::Row(const void* data, const Strides& strides, std::int64_t batch, std::int64_t head,
                           std::int64_t row) const {
  const std::int64_t element = batch * strides.batch + head * strides.head + row * strides.row;
  return static_cast<const std::byte*>(data) + element * element_size_bytes_;
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
  const std::int64_t batch = group / problem_.key_value_heads;
  const std::int64_t head = group % problem_.key_value_heads;
  const Range keys = plan_.KeyTile(key_tile);
  PackKeys(batch, head, keys, packed.keys(key_tile), scratch);
  const kernels::ValueKinds kinds = PackValues(batch, head, keys, packed.values(key_tile), scratch);
  const Values values(problem_, tensors_.value, batch, head);
  packed.set_has_large_values(key_tile, kinds.large);
  if (kinds.non_finite) packed.set_non_finite_sums(key_tile, values.NonFiniteSums(keys));
  if (key_tile == 0 && problem_.empty_row == EmptyRow::kMeanOfAllValues) packed.value_mean = values.Mean();
}

void Execution::PackKeys(std::int64_t batch, std::int64_t head, Range keys, std::byte* packed, Scratch& scratch) const {
  const kernels::TileProducts& products = ProductsFor(keys);
  const std::int64_t row_size_bytes = plan_.padded_head_size * operand_size_bytes_;
  const std::int64_t padded_keys = plan_.PaddedKeys(keys);
  auto* plain = static_cast<std::byte*>(scratch.panel());
  for (std::int64_t panel = 0; panel < kernels::TileProducts::Panels(padded_keys); ++panel) {
    const std::int64_t columns = kernels::TileProducts::PanelColumns(padded_keys, panel);
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t key = keys.begin + panel * kernels::kPanelColumns + column;
      const std::int64_t count = key < keys.end ? problem_.head_size : 0;
      LoadRow(Row(tensors_.key, problem_.key_strides, batch, head, std::min(key, keys.end - 1)), count,
              plan_.padded_head_size, plain + column * row_size_bytes);
    }
    products.PackKeyPanel(panel, plain, packed);
    packed += columns * row_size_bytes;
  }
}

kernels::ValueKinds Execution::PackValues(std::int64_t batch, std::int64_t head, Range keys, std::byte* packed,
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
      const void* from = Row(tensors_.value, problem_.value_strides, batch, head, key);
      LoadRow(static_cast<const std::byte*>(from) + first * element_size_bytes_, row < keys.size() ? count : 0, columns,
              plain + row * row_size_bytes);
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
  const std::int64_t key_value_head = group % problem_.key_value_heads;
  const QueryTile tile{.batch = group / problem_.key_value_heads,
                       .query_head = key_value_head * plan_.query_heads_per_group + head_in_group,
                       .key_value_head = key_value_head,
                       .rows = plan_.QueryTile(query_tile)};
  TileResult result;
  const absl::Cleanup release = [this] { products_->ReleaseThread(); };
  scratch.weights_factor = 1;
  if (!AttendToKeys(tile, packed, give_up, scratch, result)) return result;
  if (packed.has_large_values() && !SumsAreFinite(tile, scratch)) {
    scratch.weights_factor = kOverflowFactor;
    if (!AttendToKeys(tile, packed, give_up, scratch, result)) return result;
  }
  for (std::int64_t row = tile.rows.begin; row < tile.rows.end; ++row) {
    if (scratch.seen[static_cast<std::size_t>(row - tile.rows.begin)] != 0) {
      FinishRow(tile, row, packed, scratch);
    } else {
      FinishEmptyRow(tile, row, packed, scratch);
      ++result.empty_rows;
    }
  }
  return result;
}

bool Execution::AttendToKeys(const QueryTile& tile, const PackedKv& packed, absl::FunctionRef<bool()> give_up,
                             Scratch& scratch, TileResult& result) const {
  StartTile(tile, scratch);
  for (std::int64_t key_tile = 0; key_tile < plan_.key_tiles; ++key_tile) {
    if (give_up()) return false;
    const Range keys = plan_.KeyTile(key_tile);
    if (IsHidden(tile, keys)) {
      ++result.skipped_tiles;
      if (tensors_.weights != nullptr) ClearScores(tile, keys);
      continue;
    }
    const kernels::TileProducts& products = ProductsFor(keys);
    products.Scores(tile.rows.size(), scratch.query(), packed.keys(key_tile), scratch.scores());
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

bool Execution::IsHidden(const QueryTile& tile, Range keys) const {
  return ClassifyTile(problem_, tile.batch, tile.rows, keys) == TileKind::kHidden ||
         !MaskShowsAny(problem_, tensors_.mask, tile.batch, tile.query_head, tile.rows, keys);
}

void Execution::StartTile(const QueryTile& tile, Scratch& scratch) const {
  auto* query = static_cast<std::byte*>(scratch.query());
  for (std::int64_t row = tile.rows.begin; row < tile.rows.end; ++row) {
    LoadRow(Row(tensors_.query, problem_.query_strides, tile.batch, tile.query_head, row), problem_.head_size,
            plan_.padded_head_size, query);
    query += plan_.padded_head_size * operand_size_bytes_;
  }
  scratch.maximum.fill(kMinusInfinity);
  scratch.sum.fill(0);
  scratch.seen.fill(0);
  std::fill_n(scratch.sums(), kQueryTileRows * plan_.padded_value_head_size, 0.0F);
}

std::int64_t Execution::RowIndex(const QueryTile& tile, std::int64_t query_row) const {
  return (tile.batch * problem_.query_heads + tile.query_head) * problem_.query_rows + query_row;
}

float* Execution::WeightsRow(const QueryTile& tile, std::int64_t query_row) const {
  return tensors_.weights + RowIndex(tile, query_row) * problem_.keys;
}

void Execution::ClearScores(const QueryTile& tile, Range keys) const {
  for (std::int64_t row = tile.rows.begin; row < tile.rows.end; ++row) {
    std::fill_n(WeightsRow(tile, row) + keys.begin, keys.size(), 0.0F);
  }
}

void Execution::KeepScores(const QueryTile& tile, Range keys, Scratch& scratch) const {
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    const float* scores = scratch.scores() + row * kKeyTileKeys;
    std::copy_n(scores, keys.size(), WeightsRow(tile, tile.rows.begin + row) + keys.begin);
  }
}

kernels::ColumnInterval Execution::VisibleColumns(const QueryTile& tile, std::int64_t query_row, Range keys) const {
  const std::uint8_t* mask = MaskRow(problem_, tensors_.mask, tile.batch, tile.query_head, query_row);
  if (mask != nullptr && problem_.boolean_mask->key == 0 && *mask == 0) return {};
  const Range visible = VisibleKeys(problem_, tile.batch, query_row);
  return {.begin = std::clamp(visible.begin - keys.begin, std::int64_t{0}, keys.size()),
          .end = std::clamp(visible.end - keys.begin, std::int64_t{0}, keys.size())};
}

const std::uint8_t* Execution::MaskBytes(const QueryTile& tile, std::int64_t query_row, Range keys) const {
  const std::uint8_t* mask = MaskRow(problem_, tensors_.mask, tile.batch, tile.query_head, query_row);
  return mask == nullptr || problem_.boolean_mask->key == 0 ? nullptr : mask + keys.begin;
}

void* Execution::WeightsOperand(Scratch& scratch) const {
  return plan_.operand_type == ElementType::kFloat32 ? scratch.scores() : scratch.half_weights();
}

void Execution::UpdateSoftmax(const QueryTile& tile, Range keys, Scratch& scratch) const {
  for (std::int64_t row = 0; row < tile.rows.size(); ++row) {
    scratch.visible[static_cast<std::size_t>(row)] = VisibleColumns(tile, tile.rows.begin + row, keys);
  }
  kernels::SoftmaxTile softmax;
  softmax.rows = tile.rows.size();
  softmax.columns = plan_.PaddedKeys(keys);
  softmax.stride = kKeyTileKeys;
  softmax.scores = scratch.scores();
  softmax.scale_log2e = scale_log2e_;
  softmax.visible = scratch.visible.data();
  softmax.mask = MaskBytes(tile, tile.rows.begin, keys);
  softmax.mask_row_stride = problem_.boolean_mask.has_value() ? problem_.boolean_mask->query : 0;
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

// --- Finishing a row ---

void* Execution::OutputRow(const QueryTile& tile, std::int64_t query_row) const {
  return const_cast<void*>(Row(tensors_.output, problem_.output_strides, tile.batch, tile.query_head, query_row));
}

void Execution::FinishRow(const QueryTile& tile, std::int64_t query_row, const PackedKv& packed,
                          Scratch& scratch) const {
  const auto row = static_cast<std::size_t>(query_row - tile.rows.begin);
  const float* sums = scratch.sums() + static_cast<std::int64_t>(row) * plan_.padded_value_head_size;
  const float maximum = scratch.maximum[row];
  const float sum = scratch.sum[row];
  kernels::DivideRow(sums, problem_.value_head_size, sum * scratch.weights_factor, scratch.output_row());
  AddNonFiniteValues(tile, query_row, packed, scratch.output_row());
  kernels::FromFloat32(scratch.output_row(), problem_.value_head_size, problem_.element_type,
                       OutputRow(tile, query_row));
  if (tensors_.weights != nullptr) FinishWeights(tile, query_row, maximum, sum);
  if (tensors_.log_sum_exp != nullptr) {
    // From powers of two to the natural logarithm, in double: maximum is large beside what it must be exact to.
    const double log_sum_exp = maximum * std::numbers::ln2 + std::log(static_cast<double>(sum));
    tensors_.log_sum_exp[RowIndex(tile, query_row)] = static_cast<float>(log_sum_exp);
  }
}

void Execution::FinishEmptyRow(const QueryTile& tile, std::int64_t query_row, const PackedKv& packed,
                               Scratch& scratch) const {
  const bool mean = problem_.empty_row == EmptyRow::kMeanOfAllValues;
  float* output = scratch.output_row();
  if (mean) {
    std::copy(packed.value_mean.begin(), packed.value_mean.end(), output);
  } else {
    std::fill_n(output, problem_.value_head_size, 0.0F);
  }
  kernels::FromFloat32(output, problem_.value_head_size, problem_.element_type, OutputRow(tile, query_row));
  const std::int64_t index = RowIndex(tile, query_row);
  if (tensors_.weights != nullptr) {
    const float weight = mean ? 1.0F / static_cast<float>(problem_.keys) : 0.0F;
    std::fill_n(WeightsRow(tile, query_row), problem_.keys, weight);
  }
  if (tensors_.log_sum_exp != nullptr) tensors_.log_sum_exp[index] = kMinusInfinity;
}

void Execution::FinishWeights(const QueryTile& tile, std::int64_t query_row, float maximum, float sum) const {
  float* row = WeightsRow(tile, query_row);
  for (std::int64_t key_tile = 0; key_tile < plan_.key_tiles; ++key_tile) {
    const Range keys = plan_.KeyTile(key_tile);
    kernels::ScoresToWeights(row + keys.begin, keys.size(), VisibleColumns(tile, query_row, keys),
                             MaskBytes(tile, query_row, keys), scale_log2e_, maximum, sum);
  }
}

void Execution::AddNonFiniteValues(const QueryTile& tile, std::int64_t query_row, const PackedKv& packed,
                                   float* output) const {
  const Values values(problem_, tensors_.value, tile.batch, tile.key_value_head);
  for (std::int64_t key_tile = 0; key_tile < plan_.key_tiles; ++key_tile) {
    const std::vector<float>& sums = packed.non_finite_sums(key_tile);
    if (sums.empty()) continue;
    const Range keys = plan_.KeyTile(key_tile);
    const kernels::ColumnInterval visible = VisibleColumns(tile, query_row, keys);
    const std::uint8_t* mask = MaskBytes(tile, query_row, keys);
    if (mask == nullptr && visible.end - visible.begin == keys.size()) {
      std::transform(sums.begin(), sums.end(), output, output, std::plus<>());
      continue;
    }
    for (std::int64_t column = visible.begin; column < visible.end; ++column) {
      if (mask == nullptr || mask[column] != 0) values.AddNonFinite(keys.begin + column, output);
    }
  }
}

}  // namespace attnd::core
