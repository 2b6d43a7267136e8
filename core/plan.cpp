#include "core/plan.h"

#include <algorithm>

#include "core/kernels/products.h"

namespace attnd::core {

Range Plan::QueryTile(std::int64_t tile) const {
  return {tile * kQueryTileRows, std::min((tile + 1) * kQueryTileRows, query_rows)};
}

Range Plan::KeyTile(std::int64_t tile) const {
  return {tile * kKeyTileKeys, std::min((tile + 1) * kKeyTileKeys, keys)};
}

std::int64_t Plan::PaddedKeys(Range tile) const { return kernels::PaddedSize(tile.size(), operand_type); }

Plan MakePlan(const Problem& problem, ElementType operand_type) {
  Plan plan;
  plan.operand_type = operand_type;
  plan.query_rows = problem.query_rows;
  plan.keys = problem.keys;
  plan.padded_head_size = kernels::PaddedSize(problem.head_size, operand_type);
  plan.padded_value_head_size = kernels::PaddedSize(problem.value_head_size, operand_type);
  plan.groups = problem.batch * problem.key_value_heads;
  plan.query_heads_per_group = problem.query_heads / problem.key_value_heads;
  plan.query_tiles = (problem.query_rows + kQueryTileRows - 1) / kQueryTileRows;
  plan.key_tiles = (problem.keys + kKeyTileKeys - 1) / kKeyTileKeys;
  const std::int64_t padded_keys = kernels::PaddedSize(problem.keys, operand_type);
  const auto operand_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(operand_type));
  plan.packed_key_size_bytes = padded_keys * plan.padded_head_size * operand_size_bytes;
  plan.packed_value_size_bytes = padded_keys * plan.padded_value_head_size * operand_size_bytes;
  return plan;
}

}  // namespace attnd::core
