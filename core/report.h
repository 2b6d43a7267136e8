// What the core tells about a call that is done.
#pragma once

#include <cstdint>
#include <string>

namespace attnd::core {

// What was done for a problem. attention.proto's Report says what each means.
struct Report {
  std::string kernel;
  std::string fingerprint;  // without attnd's version, which the core does not know
  std::int64_t query_tile_rows = 0;
  std::int64_t key_tile_keys = 0;
  std::int64_t computed_tiles = 0;
  std::int64_t skipped_tiles = 0;
  double floating_point_operations = 0;
  std::int64_t empty_rows = 0;
  double queue_seconds = 0;
  double compute_seconds = 0;
  std::int64_t summary_tiles = 0;
};

}  // namespace attnd::core
