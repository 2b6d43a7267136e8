// A tensor in a few numbers.
#pragma once

#include <cstdint>

#include "client/cpp/tensor.h"

namespace attnd::cli {

// Of the elements that are finite; all 0 where there are none.
struct Digest {
  std::int64_t finite_elements = 0;
  double smallest = 0;
  double largest = 0;
  double mean = 0;
};

Digest DigestOf(const Tensor& tensor);

}  // namespace attnd::cli
