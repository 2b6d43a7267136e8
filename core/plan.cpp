#include "core/plan.h"

#include <algorithm>

#include "core/kernels/products.h"

namespace attnd::core {
namespace {

std::int64_t TileCount(std::int64_t size, std::int64_t tile_size) { return (size + tile_size - 1) / tile_size; }

// The keys of the first tiles together, the padding of each included. Only the last may have any.
std::int64_t PaddedKeysOf(const Plan& plan, std::int64_t key_tiles, std::int64_t keys) {
  if (key_tiles == 0) return 0;
  return (key_tiles - 1) * kKeyTileKeys + plan.PaddedKeys(KeyTileKeys(key_tiles - 1, keys));
}

}  // namespace

Range QueryTileRows(std::int64_t tile, std::int64_t rows) {
  return {tile * kQueryTileRows, std::min((tile + 1) * kQueryTileRows, rows)};
}

Range KeyTileKeys(std::int64_t tile, std::int64_t keys) {
  return {tile * kKeyTileKeys, std::min((tile + 1) * kKeyTileKeys, keys)};
}

SequenceTiles TilesOf(const Sequence& sequence) {
  SequenceTiles tiles{.query_tiles = TileCount(sequence.rows, kQueryTileRows),
                      .key_tiles = TileCount(sequence.keys, kKeyTileKeys)};
  tiles.packed_key_tiles =
      std::min(tiles.key_tiles, std::max<std::int64_t>(TileCount(sequence.key_length, kKeyTileKeys), 1));
  return tiles;
}

std::int64_t Plan::HeadsPerTile(const Sequence& sequence) const {
  return std::clamp<std::int64_t>(kQueryTileRows / std::max<std::int64_t>(sequence.rows, 1), 1, query_heads_per_group);
}

std::int64_t Plan::QueryTilesOfGroup(const Sequence& sequence) const {
  return TileCount(query_heads_per_group, HeadsPerTile(sequence)) * TilesOf(sequence).query_tiles;
}

double Plan::OperationsOfGroup(const Sequence& sequence) const {
  // Packing an element takes about as long as 16 operations on it.
  constexpr std::int64_t kOperationsToPack = 16;
  const std::int64_t rows = sequence.rows * query_heads_per_group;
  return static_cast<double>((2 * rows + kOperationsToPack) * sequence.keys) *
         static_cast<double>(padded_head_size + padded_value_head_size);
}

std::int64_t Plan::PaddedKeys(Range tile) const { return kernels::PaddedSize(tile.size(), size_step); }

std::int64_t Plan::PaddedKeysBefore(std::int64_t key_length, Range tile) const {
  return PaddedKeys({tile.begin, std::min(tile.end, key_length)});
}

std::int64_t Plan::PackedKeySizeBytes(std::int64_t key_tiles, std::int64_t keys) const {
  return PaddedKeysOf(*this, key_tiles, keys) * padded_head_size *
         static_cast<std::int64_t>(ElementSizeBytes(operand_type));
}

std::int64_t Plan::PackedValueSizeBytes(std::int64_t key_tiles, std::int64_t keys) const {
  return PaddedKeysOf(*this, key_tiles, keys) * padded_value_head_size *
         static_cast<std::int64_t>(ElementSizeBytes(operand_type));
}

Plan MakePlan(const Problem& problem, ElementType operand_type, std::int64_t size_step) {
  Plan plan;
  plan.operand_type = operand_type;
  plan.size_step = size_step;
  plan.padded_head_size = kernels::PaddedSize(problem.head_size, size_step);
  plan.padded_value_head_size = kernels::PaddedSize(problem.value_head_size, size_step);
  plan.groups = problem.batch * problem.key_value_heads;
  plan.query_heads_per_group = problem.query_heads / problem.key_value_heads;
  return plan;
}

}  // namespace attnd::core
