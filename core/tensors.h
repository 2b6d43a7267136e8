// The memory that a problem is computed from and into.
#pragma once

#include <cstdint>

namespace attnd::core {

// Where a problem's tensors lie. All are borrowed until the call is done, dense, and aligned to their elements.
struct Tensors {
  const void* query = nullptr;
  const void* key = nullptr;
  const void* value = nullptr;
  const std::uint8_t* mask = nullptr;  // where the problem has a boolean mask
  void* output = nullptr;              // of the query's element type
  float* weights = nullptr;            // where the problem has weights
  float* log_sum_exp = nullptr;        // where the problem has log_sum_exp; natural logarithm
};

}  // namespace attnd::core
