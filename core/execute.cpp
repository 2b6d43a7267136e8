#include "core/execute.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>
#include <limits>
#include <numbers>

#include "core/packed_keys_values.h"
#include "core/scores.h"

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

absl::Status Execution::Prepare(RowStates* row_states) {
  row_states_ = row_states;
  try {
    operands_.Prepare();
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(absl::StrCat("the products could not be made: ", error.what()));
  }
  return absl::OkStatus();
}

// --- Packing ---

void Execution::Pack(std::int64_t group, std::int64_t key_tile, PackedKv& packed, Scratch& scratch) const {
  const Sequence sequence = SequenceOf(group);
  const Range keys = KeyTileKeys(key_tile, sequence.keys);
  operands_.PackKeys(group, sequence, keys, sequence.key_length, packed.keys(key_tile), scratch);
  const kernels::ValueKinds kinds =
      operands_.PackValues(group, sequence, keys, sequence.key_length, packed.values(key_tile));
  packed.set_has_large_values(key_tile, kinds.large);
  if (kinds.non_finite) {
    packed.set_non_finite_sums(key_tile, ValuesOf(group).NonFiniteSums(keys));
    if (packed.keeps_plain_non_finite()) packed.set_plain_values(key_tile, ValuesOf(group).Rows(keys));
  }
  if (key_tile == 0) FindMean(group, packed);
}

const PackedKv* Execution::PackedBefore(std::int64_t group) const {
  return tensors_.packed != nullptr ? &tensors_.packed->group(group) : nullptr;
}

Values Execution::ValuesOf(std::int64_t group) const {
  return {problem_, tensors_.value, group / problem_.key_value_heads, SequenceOf(group),
          group % problem_.key_value_heads};
}

Values Execution::ValuesOfTile(std::int64_t group, std::int64_t key_tile, const PackedKv& packed) const {
  const Range keys = KeyTileKeys(key_tile, SequenceOf(group).keys);
  if (packed.keeps_plain_non_finite()) return {problem_, packed.plain_values(key_tile), keys.size()};
  return ValuesOf(group).Part(keys);
}

void Execution::FindMean(std::int64_t group, PackedKv& packed) const {
  if (problem_.empty_row == EmptyRow::kMeanOfAllValues && packed.value_mean.empty()) {
    packed.value_mean = ValuesOf(group).Mean();
  }
}

// --- Computing ---

GroupTile Execution::TileOf(std::int64_t group, std::int64_t query_tile) const {
  const Sequence sequence = SequenceOf(group);
  const std::int64_t heads_per_group = plan().query_heads_per_group;
  const std::int64_t heads_per_tile = plan().HeadsPerTile(sequence);
  const std::int64_t tiles_of_head = TilesOf(sequence).query_tiles;
  const std::int64_t first_head = query_tile / tiles_of_head * heads_per_tile;
  const std::int64_t key_value_head = group % problem_.key_value_heads;
  return {.first_head = {.batch_entry = group / problem_.key_value_heads,
                         .query_head = key_value_head * heads_per_group + first_head,
                         .key_value_head = key_value_head,
                         .sequence = sequence,
                         .rows = QueryTileRows(query_tile % tiles_of_head, sequence.rows)},
          .heads = std::min(heads_per_tile, heads_per_group - first_head)};
}

TileResult Execution::Compute(std::int64_t group, std::int64_t query_tile, const PackedKv& packed,
                              absl::FunctionRef<bool()> give_up, Scratch& scratch) const {
  return Attend(TileOf(group, query_tile), packed, [](std::int64_t) {}, give_up, scratch);
}

TileResult Execution::ComputeReadOnce(std::int64_t group, absl::FunctionRef<bool()> give_up, Scratch& scratch) const {
  const Sequence sequence = SequenceOf(group);
  if (sequence.rows == 0) return {};
  if (const PackedKv* packed = PackedBefore(group)) return Compute(group, 0, *packed, give_up, scratch);
  const GroupTile tile = TileOf(group, 0);
  PackedKv packed = PackedKv::OfOneTile(sequence, scratch.key_tile(), scratch.value_tile());
  if (sequence.keys > 0) FindMean(group, packed);
  const auto load = [&](std::int64_t key_tile) { Pack(group, key_tile, packed, scratch); };
  return Attend(tile, packed, load, give_up, scratch);
}

TileResult Execution::Attend(const GroupTile& tile, const PackedKv& packed, Load load,
                             absl::FunctionRef<bool()> give_up, Scratch& scratch) const {
  TileResult result;
  const absl::Cleanup release = [this] { operands_.ReleaseThread(); };
  for (std::int64_t h = 0; h < tile.heads; ++h) FindRowKeys(problem_, tile.Head(h), scratch.row_keys.data());
  scratch.weights_factor = 1;
  if (!AttendToKeys(tile, packed, load, give_up, scratch, result)) return result;
  if (packed.has_large_values() && !SumsAreFinite(tile, scratch)) {
    scratch.weights_factor = kOverflowFactor;
    if (!AttendToKeys(tile, packed, load, give_up, scratch, result)) return result;
  }
  FinishTile(tile, packed, scratch, result);
  return result;
}

std::int64_t Execution::CountHeadsThatSee(const GroupTile& tile, Range keys, Scratch& scratch) const {
  std::int64_t count = 0;
  std::int64_t full = 0;
  for (std::int64_t h = 0; h < tile.heads; ++h) {
    const TileKind kind = FindVisibility(problem_, tensors_, tile.Head(h), keys, scratch.row_keys.data(),
                                         scratch.mask_bytes(), scratch.visibility);
    if (kind != TileKind::kHidden) ++count;
    if (kind == TileKind::kFull) ++full;
  }
  if (count == 0) return 0;
  const std::int64_t end = plan().PaddedKeysBefore(tile.first_head.sequence.key_length, keys);
  scratch.columns =
      full == tile.heads ? Range{.begin = 0, .end = end} : VisiblePanels(scratch.visibility, tile.rows(), end);
  return count;
}

Range Execution::KeyTilesInSight(const GroupTile& tile, const Scratch& scratch) const {
  if (!MayHideKeys(problem_)) return {.begin = 0, .end = TilesOf(tile.first_head.sequence).key_tiles};
  Range seen{.begin = tile.first_head.sequence.keys, .end = 0};
  for (std::int64_t place = 0; place < tile.rows(); ++place) {
    const Range keys = scratch.row_keys[static_cast<std::size_t>(place)];
    if (keys.size() == 0) continue;
    seen = {.begin = std::min(seen.begin, keys.begin), .end = std::max(seen.end, keys.end)};
  }
  if (seen.begin >= seen.end) return {};
  return {.begin = seen.begin / kKeyTileKeys, .end = (seen.end + kKeyTileKeys - 1) / kKeyTileKeys};
}

bool Execution::AttendToKeys(const GroupTile& tile, const PackedKv& packed, Load load,
                             absl::FunctionRef<bool()> give_up, Scratch& scratch, TileResult& result) const {
  StartTile(tile, scratch);
  const Sequence& sequence = tile.first_head.sequence;
  const Range key_tiles = KeyTilesInSight(tile, scratch);
  result.skipped_tiles += tile.heads * (TilesOf(sequence).key_tiles - key_tiles.size());
  for (std::int64_t key_tile = key_tiles.begin; key_tile < key_tiles.end; ++key_tile) {
    if (give_up()) return false;
    const Range keys = KeyTileKeys(key_tile, sequence.keys);
    const std::int64_t heads = CountHeadsThatSee(tile, keys, scratch);
    result.computed_tiles += heads;
    result.skipped_tiles += tile.heads - heads;
    if (heads == 0) continue;
    load(key_tile);
    AttendToTile(tile, keys, packed.keys(key_tile), packed.values(key_tile), scratch);
    const std::int64_t computed_keys = std::min(scratch.columns.end, keys.size()) - scratch.columns.begin;
    result.floating_point_operations += 2.0 * static_cast<double>(tile.rows() * computed_keys) *
                                        static_cast<double>(problem_.head_size + problem_.value_head_size);
  }
  return true;
}

void Execution::AttendToTile(const GroupTile& tile, Range keys, const std::byte* packed_keys,
                             const std::byte* packed_values, Scratch& scratch) const {
  const Range columns = scratch.columns;
  const std::int64_t padded_keys = plan().PaddedKeys(keys);
  const kernels::TileProducts& products = operands_.ProductsFor(columns, padded_keys);
  products.Scores(tile.rows(), scratch.query(), packed_keys + columns.begin * operands_.QuerySizeBytes(),
                  scratch.scores() + columns.begin);
  if (changes_scores_) ChangeTileScores(tile, keys, scratch);
  if (tensors_.weights != nullptr) KeepScores(tile, keys, scratch);
  UpdateSoftmax(tile, scratch);
  if (scratch.weights_factor != 1) ScaleWeights(tile, scratch);
  if (scratch.has_sums) {
    kernels::ScaleRows(scratch.sums(), tile.rows(), plan().padded_value_head_size, scratch.factor.data());
  }
  const auto* weights = static_cast<const std::byte*>(WeightsOperand(scratch));
  const auto weight_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan().operand_type));
  products.AddSums(tile.rows(), weights + columns.begin * weight_size_bytes,
                   {.panels = packed_values, .panel_keys = padded_keys, .first_key = columns.begin}, scratch.sums());
  scratch.has_sums = true;
}

bool Execution::SumsAreFinite(const GroupTile& tile, Scratch& scratch) const {
  const float* sums = scratch.sums();
  return std::all_of(sums, sums + tile.rows() * plan().padded_value_head_size,
                     [](float sum) { return std::isfinite(sum); });
}

void Execution::StartTile(const GroupTile& tile, Scratch& scratch) const {
  auto* query = static_cast<std::byte*>(scratch.query());
  for (std::int64_t h = 0; h < tile.heads; ++h) {
    const QueryTile head = tile.Head(h);
    operands_.LoadQueries(head.batch_entry, head.query_head, head.sequence, head.rows,
                          query + head.first * operands_.QuerySizeBytes());
    // A sink is a key of this score, which every row sees and whose value is 0.
    const float sink =
        problem_.sinks.empty() ? kMinusInfinity : problem_.sinks[static_cast<std::size_t>(head.query_head)];
    std::fill_n(scratch.maximum.begin() + head.first, head.rows.size(), static_cast<float>(sink * std::numbers::log2e));
    std::fill_n(scratch.sum.begin() + head.first, head.rows.size(), sink == kMinusInfinity ? 0.0F : 1.0F);
  }
  std::fill_n(scratch.seen.begin(), tile.rows(), std::uint8_t{0});
  std::fill_n(scratch.sums(), tile.rows() * plan().padded_value_head_size, 0.0F);
  scratch.has_sums = false;
}

void Execution::ChangeTileScores(const GroupTile& tile, Range keys, Scratch& scratch) const {
  const Range computed{.begin = keys.begin + scratch.columns.begin,
                       .end = std::min(keys.begin + scratch.columns.end, keys.end)};
  for (std::int64_t h = 0; h < tile.heads; ++h) {
    ChangeScores(problem_, tensors_, tile.Head(h), computed, ScoreStage::kComplete,
                 scratch.scores() + scratch.columns.begin, scratch.added());
  }
}

void Execution::KeepScores(const GroupTile& tile, Range keys, Scratch& scratch) const {
  const Range columns = scratch.columns;
  for (std::int64_t h = 0; h < tile.heads; ++h) {
    const QueryTile head = tile.Head(h);
    for (std::int64_t row = 0; row < head.rows.size(); ++row) {
      const float* scores = scratch.scores() + (head.first + row) * kKeyTileKeys;
      std::copy(scores + columns.begin, scores + std::min(columns.end, keys.size()),
                WeightsRow(head, row) + keys.begin + columns.begin);
    }
  }
}

void* Execution::WeightsOperand(Scratch& scratch) const {
  return plan().operand_type == ElementType::kFloat32 ? scratch.scores() : scratch.half_weights();
}

void Execution::UpdateSoftmax(const GroupTile& tile, Scratch& scratch) const {
  kernels::SoftmaxTile softmax;
  softmax.rows = tile.rows();
  softmax.first_column = scratch.columns.begin;
  softmax.columns = scratch.columns.end;
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

void Execution::ScaleWeights(const GroupTile& tile, Scratch& scratch) const {
  auto* weights = static_cast<std::byte*>(WeightsOperand(scratch));
  const auto size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan().operand_type));
  for (std::int64_t row = 0; row < tile.rows(); ++row) {
    kernels::Scale(plan().operand_type, weights + (row * kKeyTileKeys + scratch.columns.begin) * size_bytes,
                   scratch.columns.size(), scratch.weights_factor);
  }
}

// --- Finishing a tile ---

std::int64_t Execution::RowIndex(const QueryTile& head, std::int64_t row) const {
  return ElementOf(problem_.row_strides, head.batch_entry, head.query_head,
                   head.sequence.first_row + head.rows.begin + row);
}

float* Execution::WeightsRow(const QueryTile& head, std::int64_t row) const {
  return tensors_.weights + RowIndex(head, row) * problem_.keys;
}

float* Execution::SumsRow(const QueryTile& head, std::int64_t row, Scratch& scratch) const {
  return scratch.sums() + (head.first + row) * plan().padded_value_head_size;
}

bool Execution::IsPadding(const QueryTile& head, std::int64_t row) const {
  return head.rows.begin + row >= head.sequence.query_length;
}

bool Execution::IsEmpty(const QueryTile& head, std::int64_t row, const Scratch& scratch) const {
  return scratch.seen[static_cast<std::size_t>(head.first + row)] == 0 && !IsPadding(head, row);
}

void Execution::FinishTile(const GroupTile& tile, const PackedKv& packed, Scratch& scratch, TileResult& result) const {
  AddNonFiniteValues(tile, packed, scratch);
  if (tensors_.weights != nullptr) FinishWeights(tile, scratch);
  for (std::int64_t h = 0; h < tile.heads; ++h) FinishHead(tile.Head(h), packed, scratch, result);
}

void Execution::FinishHead(const QueryTile& head, const PackedKv& packed, Scratch& scratch, TileResult& result) const {
  const auto seen = scratch.seen.begin() + head.first;
  if (std::find(seen, seen + head.rows.size(), 0) != seen + head.rows.size()) {
    FinishEmptyRows(head, packed, scratch, result);
  }
  if (tensors_.log_sum_exp != nullptr) {
    for (std::int64_t row = 0; row < head.rows.size(); ++row) FinishLogSumExp(head, row, scratch);
  }
  if (row_states_ != nullptr) {
    for (std::int64_t row = 0; row < head.rows.size(); ++row) FinishState(head, row, scratch);
  }
  StoreOutput(head, scratch);
}

void Execution::FinishEmptyRows(const QueryTile& head, const PackedKv& packed, Scratch& scratch,
                                TileResult& result) const {
  for (std::int64_t row = 0; row < head.rows.size(); ++row) {
    if (!IsEmpty(head, row, scratch)) continue;
    ++result.empty_rows;
    if (problem_.empty_row == EmptyRow::kMeanOfAllValues) {
      std::copy(packed.value_mean.begin(), packed.value_mean.end(), SumsRow(head, row, scratch));
    }
  }
}

void Execution::AddNonFiniteValues(const GroupTile& tile, const PackedKv& packed, Scratch& scratch) const {
  const QueryTile& first = tile.first_head;
  const std::int64_t group = first.batch_entry * problem_.key_value_heads + first.key_value_head;
  for (std::int64_t key_tile = 0; key_tile < TilesOf(first.sequence).packed_key_tiles; ++key_tile) {
    const std::vector<float>& sums = packed.non_finite_sums(key_tile);
    if (sums.empty()) continue;
    const Range keys = KeyTileKeys(key_tile, first.sequence.keys);
    if (CountHeadsThatSee(tile, keys, scratch) == 0) continue;
    const Values values = ValuesOfTile(group, key_tile, packed);
    for (std::int64_t place = 0; place < tile.rows(); ++place) {
      float* output = scratch.sums() + place * plan().padded_value_head_size;
      const kernels::ColumnInterval visible = scratch.visibility.columns[static_cast<std::size_t>(place)];
      const std::uint8_t* bytes = scratch.visibility.RowBytes(place);
      if (bytes == nullptr && visible.end - visible.begin == keys.size()) {
        std::transform(sums.begin(), sums.end(), output, output, std::plus<>());
        continue;
      }
      for (std::int64_t column = visible.begin; column < visible.end; ++column) {
        if (bytes == nullptr || bytes[column] != 0) values.AddNonFinite(column, output);
      }
    }
  }
}

void Execution::FinishWeights(const GroupTile& tile, Scratch& scratch) const {
  const Sequence& sequence = tile.first_head.sequence;
  for (std::int64_t key_tile = 0; key_tile < TilesOf(sequence).key_tiles; ++key_tile) {
    const Range keys = KeyTileKeys(key_tile, sequence.keys);
    const bool is_hidden = CountHeadsThatSee(tile, keys, scratch) == 0;
    for (std::int64_t h = 0; h < tile.heads; ++h) FinishWeightsOfHead(tile.Head(h), keys, is_hidden, scratch);
  }
  for (std::int64_t h = 0; h < tile.heads; ++h) FillOtherWeights(tile.Head(h), scratch);
}

void Execution::FinishWeightsOfHead(const QueryTile& head, Range keys, bool is_hidden, Scratch& scratch) const {
  const Range columns{.begin = scratch.columns.begin, .end = std::min(scratch.columns.end, keys.size())};
  for (std::int64_t row = 0; row < head.rows.size(); ++row) {
    float* const weights = WeightsRow(head, row) + keys.begin;
    const std::int64_t place = head.first + row;
    const auto i = static_cast<std::size_t>(place);
    if (is_hidden || scratch.seen[i] == 0) {
      std::fill_n(weights, keys.size(), 0.0F);
      continue;
    }
    // What was not computed has no scores there.
    std::fill(weights, weights + columns.begin, 0.0F);
    std::fill(weights + columns.end, weights + keys.size(), 0.0F);
    kernels::ScoresToWeights(weights, columns.end, scratch.visibility.columns[i], scratch.visibility.RowBytes(place),
                             scale_log2e_, scratch.maximum[i], scratch.sum[i]);
  }
}

void Execution::FillOtherWeights(const QueryTile& head, const Scratch& scratch) const {
  const std::int64_t keys = head.sequence.keys;
  const float mean_weight =
      problem_.empty_row == EmptyRow::kMeanOfAllValues ? 1.0F / static_cast<float>(std::max<std::int64_t>(keys, 1)) : 0;
  for (std::int64_t row = 0; row < head.rows.size(); ++row) {
    if (IsEmpty(head, row, scratch)) std::fill_n(WeightsRow(head, row), keys, mean_weight);
    // What other sequences of a ragged batch have more keys.
    std::fill_n(WeightsRow(head, row) + keys, problem_.keys - keys, 0.0F);
  }
}

void Execution::StoreOutput(const QueryTile& head, Scratch& scratch) const {
  std::array<float, kQueryTileRows> divisors;
  for (std::int64_t row = 0; row < head.rows.size(); ++row) {
    const auto i = static_cast<std::size_t>(head.first + row);
    // Of rows without a visible key the sums are the output.
    divisors[static_cast<std::size_t>(row)] = scratch.seen[i] != 0 ? scratch.sum[i] * scratch.weights_factor : 1;
  }
  const auto element_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(problem_.element_type));
  const std::int64_t first_element =
      ElementOf(problem_.output_strides, head.batch_entry, head.query_head, head.sequence.first_row + head.rows.begin);
  kernels::DivideRows({.numbers = SumsRow(head, 0, scratch),
                       .rows = head.rows.size(),
                       .columns = problem_.value_head_size,
                       .stride = plan().padded_value_head_size},
                      divisors.data(), problem_.element_type,
                      static_cast<std::byte*>(tensors_.output) + first_element * element_size_bytes,
                      problem_.output_strides.row * element_size_bytes);
}

void Execution::FinishLogSumExp(const QueryTile& head, std::int64_t row, Scratch& scratch) const {
  const auto i = static_cast<std::size_t>(head.first + row);
  // From powers of two to the natural logarithm, in double: maximum is large beside what it must be exact to.
  const double log_sum_exp = scratch.maximum[i] * std::numbers::ln2 + std::log(static_cast<double>(scratch.sum[i]));
  tensors_.log_sum_exp[RowIndex(head, row)] = IsPadding(head, row) ? kMinusInfinity : static_cast<float>(log_sum_exp);
}

void Execution::FinishState(const QueryTile& head, std::int64_t row, const Scratch& scratch) const {
  const auto i = static_cast<std::size_t>(head.first + row);
  row_states_->At(head.batch_entry, head.sequence, head.query_head, head.rows.begin + row) = {
      .maximum = scratch.maximum[i], .sum = scratch.seen[i] != 0 ? scratch.sum[i] : RowState::kSawNoKey};
}

}  // namespace attnd::core
