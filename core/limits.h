// What a caller may ask for at most.
#pragma once

#include <cstdint>

namespace attnd::core {

// The largest D and Dv. Bounds a worker's scratch; four times the largest head size among today's models (256).
inline constexpr std::int64_t kMaxHeadSize = 1024;

// The largest magnitude of a scale: its product with log2(e), which is what scores are multiplied by, is then finite in
// float32.
inline constexpr double kMaxScale = 1e38;

struct Limits {
  // The bytes of all tensors of an answer together.
  std::int64_t max_answer_bytes = INT64_MAX;
};

}  // namespace attnd::core
