// A matrix of attention weights as coloured or shaded cells in a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attnd::cli {

struct HeatMap {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<double> values;  // [rows, columns], not below 0; NaN is drawn as such
  std::vector<std::string> row_labels;
  std::vector<std::string> column_labels;
};

enum class Color : std::uint8_t {
  kNone,       // shaded characters
  k256,        // the palette of 256 colours
  kTruecolor,  // 24 bits
};

struct HeatMapStyle {
  // Columns of the terminal.
  int width = 80;
  Color color = Color::kNone;
};

// Column labels read downwards above their columns. Colours also carry the weight in percent where a cell has room for
// it. What is too wide is drawn with several keys and queries to a cell, their largest weight counting, and a line that
// says so. The last line is the legend.
std::string DrawHeatMap(const HeatMap& map, const HeatMapStyle& style);

}  // namespace attnd::cli
