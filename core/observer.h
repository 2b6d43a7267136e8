// How figures about the work leave the core.
#pragma once

#include <cstdint>

namespace attnd::core {

// What one worker did for one piece of a request.
struct WorkDone {
  std::int64_t computed_tiles = 0;
  std::int64_t skipped_tiles = 0;
  double floating_point_operations = 0;
  double busy_seconds = 0;
};

class Observer {
 public:
  virtual ~Observer() = default;
  // Called after each piece, from many workers at once: must be thread-safe and quick.
  virtual void OnWorkDone(const WorkDone& work) = 0;
};

}  // namespace attnd::core
