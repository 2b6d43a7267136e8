// Scale, additions and soft cap of a tile of scores. Highway code, dispatched at run time. Thread-safe, on plain
// memory.
#pragma once

#include <cstdint>

namespace attnd::core::kernels {

// One tile of scores, rows × columns, `stride` elements from a row to the next, in place:
//   s = s·scale; s = s + added_before; s = soft_cap·tanh(s / soft_cap); s = s + added_after
// The rest of a row up to the next multiple of 16 may be written to.
struct ScoreTile {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;  // a multiple of 16; that of the additions, too
  float* scores = nullptr;
  float scale = 1;
  const float* added_before = nullptr;  // may be null
  float soft_cap = 0;                   // 0 is none
  const float* added_after = nullptr;   // may be null
};

void ChangeScores(const ScoreTile& tile);

}  // namespace attnd::core::kernels
