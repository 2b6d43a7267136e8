// The keys of each query's largest weights as lines for a terminal.
#pragma once

#include <string>

#include "client/cli/attention_map.h"
#include "client/cli/heat_map.h"

namespace attnd::cli {

// A query is a line, and more where its keys do not fit into the width: each key with its number, token, weight and a
// bar, whose length is the weight's share of the largest. The last line is the legend.
std::string DrawTopKeys(const TopKeys& top, const HeatMapStyle& style);

}  // namespace attnd::cli
