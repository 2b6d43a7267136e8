// Some rows of a pooled map while they are filled.
#pragma once

#include <cstdint>

#include "core/plan.h"
#include "core/summaries.h"

namespace attnd::core {

// Where cell `cell` of `cells` begins among `count` rows or keys: ⌊cell·count/cells⌋.
inline std::int64_t CellBegin(std::int64_t cell, std::int64_t cells, std::int64_t count) {
  return cell * count / cells;
}
// The cell that a row or key lies in.
inline std::int64_t CellOf(std::int64_t number, std::int64_t cells, std::int64_t count) {
  return ((number + 1) * cells - 1) / count;
}

class PooledCells {
 public:
  // Those of the map's rows `map_rows`, for these covered rows and so many keys. `sums` is memory for map_rows.size() ×
  // map.columns numbers, borrowed.
  PooledCells(const PooledMap& map, Range map_rows, Range rows, std::int64_t keys, double* sums)
      : map_(map), map_rows_(map_rows), rows_(rows), keys_(keys), sums_(sums) {}

  void Clear();
  // A tile of weights, [rows.size() × kKeyTileKeys].
  void Add(const float* weights, Range rows, Range keys);
  // What has been added, in the cell; `row` counts from the map's first.
  double At(std::int64_t row, std::int64_t column) const;

 private:
  double* RowSums(std::int64_t row) const { return sums_ + (row - map_rows_.begin) * map_.columns; }

  const PooledMap map_;
  const Range map_rows_;
  const Range rows_;
  const std::int64_t keys_;
  double* const sums_;
};

}  // namespace attnd::core
