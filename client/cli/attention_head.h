// One head of a file's attention weights, with the tokens that it is about.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "client/cli/heat_map.h"
#include "client/cli/inputs.h"

namespace attnd::cli {

struct HeadSelection {
  std::string weights;  // a tensor of rank 2, 3 or 4: [.., Sq, Sk]
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::string tokens_metadata;  // a key of the metadata: a JSON list of lists, the tokens of each batch entry
  std::string key_lengths;      // a tensor; where the file has none of that name, [PAD] tokens tell the length
};

// Padding is left out, of the queries too where they are as many as the keys: they are then taken to be the same
// tokens. Without tokens the labels are numbers. INVALID_ARGUMENT or NOT_FOUND where the file has not what was
// selected.
absl::StatusOr<HeatMap> SelectHead(Inputs& inputs, const HeadSelection& selection);

}  // namespace attnd::cli
