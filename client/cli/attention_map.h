// What one head attends to, as it is drawn: a matrix of weights, or the top keys of each query.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attnd::cli {

// In HeatMap::values: nothing is known of this cell.
inline constexpr double kUnknownWeight = -1;

struct HeatMap {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<double> values;  // [rows, columns]: not below 0, or kUnknownWeight; what is not finite is drawn as such
  std::vector<std::string> row_labels;
  std::vector<std::string> column_labels;
};

// The keys of each query's largest weights, largest first.
struct TopKeys {
  std::int64_t rows = 0;
  std::int64_t k = 0;
  std::int64_t columns = 0;        // how many keys there are
  std::vector<std::int32_t> keys;  // [rows, k]: below `columns`; −1: there are fewer
  std::vector<double> weights;     // [rows, k]: not below 0
  std::vector<std::string> row_labels;
  std::vector<std::string> column_labels;
};

// The largest of the finite values; 0 where there is none.
double LargestWeight(const std::vector<double>& values);

// How many cells come of `size` where `factor` become one.
std::int64_t PooledSize(std::int64_t size, std::int64_t factor);

// Every row_factor rows and column_factor columns as one, with their largest value, or one that is not finite, and
// their first label.
HeatMap Pool(const HeatMap& map, std::int64_t row_factor, std::int64_t column_factor);

// The same of the matrix that holds the top keys' weights, and elsewhere kUnknownWeight.
HeatMap Pool(const TopKeys& top, std::int64_t row_factor, std::int64_t column_factor);

}  // namespace attnd::cli
