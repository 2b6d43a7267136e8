#include "client/cli/attention_map.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace attnd::cli {
namespace {

// Every `factor`th.
std::vector<std::string> FirstLabels(const std::vector<std::string>& labels, std::int64_t factor) {
  std::vector<std::string> firsts;
  for (std::size_t i = 0; i < labels.size(); i += static_cast<std::size_t>(factor)) firsts.push_back(labels[i]);
  return firsts;
}

// A map of which nothing is known yet.
template <typename Source>
HeatMap Unknown(const Source& source, std::int64_t row_factor, std::int64_t column_factor) {
  HeatMap map{.rows = PooledSize(source.rows, row_factor),
              .columns = PooledSize(source.columns, column_factor),
              .values = {},
              .row_labels = FirstLabels(source.row_labels, row_factor),
              .column_labels = FirstLabels(source.column_labels, column_factor)};
  map.values.assign(static_cast<std::size_t>(map.rows * map.columns), kUnknownWeight);
  return map;
}

// What is not finite stays.
void Raise(double& cell, double value) {
  if (std::isfinite(cell) && (!std::isfinite(value) || value > cell)) cell = value;
}

}  // namespace

double LargestWeight(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) {
    if (std::isfinite(value)) largest = std::max(largest, value);
  }
  return largest;
}

std::int64_t PooledSize(std::int64_t size, std::int64_t factor) { return (size + factor - 1) / factor; }

HeatMap Pool(const HeatMap& map, std::int64_t row_factor, std::int64_t column_factor) {
  HeatMap pooled = Unknown(map, row_factor, column_factor);
  for (std::int64_t row = 0; row < map.rows; ++row) {
    double* const cells = pooled.values.data() + row / row_factor * pooled.columns;
    const double* const values = map.values.data() + row * map.columns;
    for (std::int64_t column = 0; column < map.columns; ++column) Raise(cells[column / column_factor], values[column]);
  }
  return pooled;
}

HeatMap Pool(const TopKeys& top, std::int64_t row_factor, std::int64_t column_factor) {
  HeatMap pooled = Unknown(top, row_factor, column_factor);
  for (std::int64_t row = 0; row < top.rows; ++row) {
    double* const cells = pooled.values.data() + row / row_factor * pooled.columns;
    for (std::int64_t i = row * top.k; i < (row + 1) * top.k; ++i) {
      const std::int32_t key = top.keys[static_cast<std::size_t>(i)];
      if (key >= 0) Raise(cells[key / column_factor], top.weights[static_cast<std::size_t>(i)]);
    }
  }
  return pooled;
}

}  // namespace attnd::cli
