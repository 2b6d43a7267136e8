#include "core/pooled_cells.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/kernels/weight_sums.h"

namespace attnd::core {
namespace {

// NaN where one of the two is.
double Larger(double left, double right) { return right > left || std::isnan(right) ? right : left; }

}  // namespace

void PooledCells::Clear() { std::fill_n(sums_, map_rows_.size() * map_.columns, 0.0); }

void PooledCells::Add(const float* weights, Range rows, Range keys) {
  std::array<float, kKeyTileKeys> columns;
  for (std::int64_t row = rows.begin; row < rows.end;) {
    const std::int64_t map_row = CellOf(row - rows_.begin, map_.rows, rows_.size());
    const std::int64_t rows_end = std::min(rows.end, rows_.begin + CellBegin(map_row + 1, map_.rows, rows_.size()));
    const bool is_mean = map_.pooling == Pooling::kMean;
    (is_mean ? kernels::ColumnSums : kernels::ColumnMaxima)(weights + (row - rows.begin) * kKeyTileKeys, rows_end - row,
                                                            keys.size(), kKeyTileKeys, columns.data());
    for (std::int64_t key = keys.begin; key < keys.end;) {
      const std::int64_t map_column = CellOf(key, map_.columns, keys_);
      const std::int64_t keys_end = std::min(keys.end, CellBegin(map_column + 1, map_.columns, keys_));
      double& cell = RowSums(map_row)[map_column];
      for (; key < keys_end; ++key) {
        const double weight = columns[static_cast<std::size_t>(key - keys.begin)];
        cell = is_mean ? cell + weight : Larger(cell, weight);
      }
    }
    row = rows_end;
  }
}

double PooledCells::At(std::int64_t row, std::int64_t column) const {
  const double sum = RowSums(row)[column];
  if (map_.pooling == Pooling::kMaximum) return sum;
  const std::int64_t rows = CellBegin(row + 1, map_.rows, rows_.size()) - CellBegin(row, map_.rows, rows_.size());
  const std::int64_t keys = CellBegin(column + 1, map_.columns, keys_) - CellBegin(column, map_.columns, keys_);
  return rows > 0 && keys > 0 ? sum / (static_cast<double>(rows) * static_cast<double>(keys)) : 0;
}

}  // namespace attnd::core
