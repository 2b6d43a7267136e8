// A matrix of attention weights as coloured or shaded cells in a terminal.
#pragma once

#include <string>

#include "client/cli/attention_map.h"
#include "client/cli/terminal_color.h"

namespace attnd::cli {

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
