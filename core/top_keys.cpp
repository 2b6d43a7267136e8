#include "core/top_keys.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "core/kernels/weight_sums.h"

namespace attnd::core {
namespace {

// A weight is at least 0 or NaN, and the bits of such numbers order as they do, NaN last.
std::uint64_t Encode(float weight, std::int64_t key) {
  const float same_nan = std::isnan(weight) ? std::numeric_limits<float>::quiet_NaN() : weight;
  const auto inverted_key = static_cast<std::uint32_t>(~static_cast<std::uint64_t>(key));
  return std::uint64_t{std::bit_cast<std::uint32_t>(same_nan)} << 32 | inverted_key;
}

float WeightOf(std::uint64_t candidate) { return std::bit_cast<float>(static_cast<std::uint32_t>(candidate >> 32)); }
std::int32_t KeyOf(std::uint64_t candidate) {
  return static_cast<std::int32_t>(~static_cast<std::uint32_t>(candidate));
}

bool IsLarger(float weight, float threshold) {
  return weight > threshold || (std::isnan(weight) && !std::isnan(threshold));
}

}  // namespace

void TopKeys::Start(std::uint64_t* candidates, std::int64_t k) {
  candidates_ = candidates;
  k_ = k;
  count_ = 0;
  threshold_ = -1;
}

void TopKeys::Offer(const float* weights, std::int64_t first_key, kernels::ColumnInterval visible,
                    const std::uint8_t* bytes) {
  if (visible.begin >= visible.end) return;
  // Few tiles of a long row have any.
  if (!IsLarger(kernels::Largest(weights + visible.begin, visible.end - visible.begin), threshold_)) return;
  for (std::int64_t column = visible.begin; column < visible.end; ++column) {
    if (!IsLarger(weights[column], threshold_) || (bytes != nullptr && bytes[column] == 0)) continue;
    candidates_[count_++] = Encode(weights[column], first_key + column);
    if (count_ == Candidates(k_)) Compact();
  }
}

void TopKeys::Compact() {
  std::nth_element(candidates_, candidates_ + k_ - 1, candidates_ + count_, std::greater<>());
  threshold_ = WeightOf(candidates_[k_ - 1]);
  count_ = k_;
}

void TopKeys::Finish(std::int32_t* keys, float* weights) {
  const std::int64_t found = std::min(count_, k_);
  std::partial_sort(candidates_, candidates_ + found, candidates_ + count_, std::greater<>());
  for (std::int64_t i = 0; i < k_; ++i) {
    keys[i] = i < found ? KeyOf(candidates_[i]) : -1;
    weights[i] = i < found ? WeightOf(candidates_[i]) : 0.0F;
  }
}

}  // namespace attnd::core
