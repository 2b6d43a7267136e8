// What is done with values beside the product: their mean for empty rows, and NaN and infinities for the rows that see
// them.
//
// A product would multiply a hidden NaN with 0 and get NaN, so values are packed with 0 in the place of what is not
// finite, and rows get that back by addition afterwards: a positive weight changes neither a NaN nor an infinity, and
// sums of them do not depend on the order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/plan.h"
#include "core/problem.h"

namespace attnd::core {

// One head's values, or some that follow each other, as they came.
class Values {
 public:
  // Dense, [keys, Dv].
  Values(const Problem& problem, const std::byte* rows, std::int64_t keys);
  // Those of some of its keys.
  Values Part(Range keys) const;
  // Borrows the first two.
  Values(const Problem& problem, const void* data, std::int64_t batch_entry, const Sequence& sequence,
         std::int64_t head);

  // [Dv], over all keys that the batch entry has, padding included, summed in double.
  std::vector<float> Mean() const;
  // [Dv]: the sums of what is not finite among the values of these keys, 0 where all is.
  std::vector<float> NonFiniteSums(Range keys) const;
  // These keys' values, dense, [keys, Dv].
  std::vector<std::byte> Rows(Range keys) const;
  // Adds to [Dv] sums what is not finite in one key's value.
  void AddNonFinite(std::int64_t key, float* sums) const;

 private:
  Values(const Problem& problem, const std::byte* data, std::int64_t keys, std::int64_t row_stride)
      : problem_(problem), keys_(keys), data_(data), row_stride_(row_stride) {}

  // Up to kChunk elements of a key's value, from `first` on, as float32; how many.
  static constexpr std::int64_t kChunk = 64;
  std::int64_t Load(std::int64_t key, std::int64_t first, float* chunk) const;

  const std::byte* At(std::int64_t key, std::int64_t first) const;

  const Problem& problem_;
  const std::int64_t keys_;
  const std::byte* const data_;
  const std::int64_t row_stride_;  // elements
};

}  // namespace attnd::core
