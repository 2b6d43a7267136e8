// The keys of the largest weights of one row, found while the row goes by. Keys are offered in ascending order; of
// equal weights the lower key comes first, and a NaN counts as the largest.
#pragma once

#include <cstdint>

#include "core/kernels/softmax.h"

namespace attnd::core {

class TopKeys {
 public:
  // How many candidates the memory of one row must hold for k keys.
  static std::int64_t Candidates(std::int64_t k) { return 2 * k; }

  // Begins a row: `candidates` is memory for Candidates(k), borrowed.
  void Start(std::uint64_t* candidates, std::int64_t k);

  // Offers the weights of a tile, whose first key has this number. Counts the visible columns alone: those in the
  // interval and, where `bytes` is not null, with a byte that is not 0. All others must have the weight 0.
  void Offer(const float* weights, std::int64_t first_key, kernels::ColumnInterval visible, const std::uint8_t* bytes);

  // Writes k keys and their weights, the largest first; where there are fewer, −1 and 0 after them.
  void Finish(std::int32_t* keys, float* weights);

 private:
  // Leaves the k largest.
  void Compact();

  // A candidate is the bits of its weight, which order as the weights do, before its key's, inverted.
  std::uint64_t* candidates_ = nullptr;
  std::int64_t k_ = 0;
  std::int64_t count_ = 0;
  // A later key must have a larger weight than this; −1 while any may be among the largest.
  float threshold_ = -1;
};

}  // namespace attnd::core
