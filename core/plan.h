// How a problem is cut into tiles. Pure functions: a problem and the kernel's operand type in, numbers out.
#pragma once

#include <cstdint>

#include "core/problem.h"

namespace attnd::core {

// Query rows of a tile: the most rows that a product is made for (kernels/brgemm.cpp). A row's bits do not depend on
// it.
inline constexpr std::int64_t kQueryTileRows = 64;

// Keys of a tile, counted from the sequence's first key. With 64 query rows the scores of a tile take 64 KiB, which
// stay in the second-level cache beside the tile's keys and values (2 × 64 KiB at head size 64). A row's bits depend on
// it, so it is fixed.
inline constexpr std::int64_t kKeyTileKeys = 256;

// A half-open range of rows or keys.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

struct Plan {
  // The type that the products multiply.
  ElementType operand_type = ElementType::kFloat32;
  std::int64_t query_rows = 0;
  std::int64_t keys = 0;
  // D and Dv, padded to what the products take.
  std::int64_t padded_head_size = 0;
  std::int64_t padded_value_head_size = 0;
  // A group is one batch entry's key and value head with the query heads that read it.
  std::int64_t groups = 0;
  std::int64_t query_heads_per_group = 0;
  std::int64_t query_tiles = 0;  // of one query head
  std::int64_t key_tiles = 0;
  // What one group's packed keys and values take.
  std::int64_t packed_key_size_bytes = 0;
  std::int64_t packed_value_size_bytes = 0;

  Range QueryTile(std::int64_t tile) const;
  Range KeyTile(std::int64_t tile) const;
  // How many keys a key tile has with its padding.
  std::int64_t PaddedKeys(Range tile) const;
};

Plan MakePlan(const Problem& problem, ElementType operand_type);

}  // namespace attnd::core
