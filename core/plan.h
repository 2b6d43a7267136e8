// How a problem is cut into tiles. Pure functions: a problem, and what the kernel takes, in; numbers out.
#pragma once

#include <cstdint>

#include "core/problem.h"

namespace attnd::core {

// Query rows of a tile: the most rows that a product is made for (kernels/brgemm.cpp). A row's bits do not depend on
// it.
inline constexpr std::int64_t kQueryTileRows = 64;

// Keys of a tile, counted from the sequence's first key. With 64 query rows the scores of a tile take 128 KiB, which
// stay in a second-level cache of 1 MiB beside the tile's keys and values (2 × 128 KiB at head size 64, in float32).
// tests/bench/README.md has the sweep. A row's bits depend on it, so it is fixed.
inline constexpr std::int64_t kKeyTileKeys = 512;

// A half-open range of rows or keys.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

// The rows of a batch entry's query tile, of the `rows` that it has; and the keys of its key tile.
Range QueryTileRows(std::int64_t tile, std::int64_t rows);
Range KeyTileKeys(std::int64_t tile, std::int64_t keys);

// The tiles of one batch entry, for each of its query heads.
struct SequenceTiles {
  std::int64_t query_tiles = 0;
  std::int64_t key_tiles = 0;
  // The first so many key tiles are packed: those that hold keys before the padding, and always the first, with which
  // what is known of all values is found.
  std::int64_t packed_key_tiles = 0;
};
SequenceTiles TilesOf(const Sequence& sequence);

// What holds for all batch entries.
struct Plan {
  // The type that the products multiply, and what its sizes are padded to multiples of.
  ElementType operand_type = ElementType::kFloat32;
  std::int64_t size_step = 0;
  // D and Dv, padded to what the products take.
  std::int64_t padded_head_size = 0;
  std::int64_t padded_value_head_size = 0;
  // A group is one batch entry's key and value head with the query heads that read it.
  std::int64_t groups = 0;
  std::int64_t query_heads_per_group = 0;

  // How many query heads of a group share a query tile: several, where all rows of each fit. Keys and values are then
  // read once for all of them.
  std::int64_t HeadsPerTile(const Sequence& sequence) const;
  // The query tiles of one of the batch entry's groups.
  std::int64_t QueryTilesOfGroup(const Sequence& sequence) const;
  // Whether one tile holds all query rows of such a group, if it has any: then its keys and values are read once, and
  // are not packed for others.
  bool IsReadOnce(const Sequence& sequence) const { return QueryTilesOfGroup(sequence) <= 1; }
  // About what one of the batch entry's groups costs, in floating-point operations.
  double OperationsOfGroup(const Sequence& sequence) const;

  // How many keys a key tile has with its padding.
  std::int64_t PaddedKeys(Range tile) const;
  // How many are left of it, with padding, where the keys from `key_length` on are hidden from all rows. Some are left.
  std::int64_t PaddedKeysBefore(std::int64_t key_length, Range tile) const;
  // What the packed keys of so many tiles of a batch entry with `keys` keys take, and the values.
  std::int64_t PackedKeySizeBytes(std::int64_t key_tiles, std::int64_t keys) const;
  std::int64_t PackedValueSizeBytes(std::int64_t key_tiles, std::int64_t keys) const;
};

Plan MakePlan(const Problem& problem, ElementType operand_type, std::int64_t size_step);

}  // namespace attnd::core
