// What a request is about, whatever its rank and layout. Pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "client/cpp/client.h"

namespace attnd {

struct ProblemSizes {
  std::int64_t batch = 1;
  std::int64_t query_heads = 1;
  std::int64_t key_value_heads = 1;
  std::int64_t query_rows = 1;
  std::int64_t keys = 1;
  std::int64_t head_size = 1;
  std::int64_t value_head_size = 1;

  std::int64_t query_heads_per_group() const { return query_heads / key_value_heads; }
};

// Nothing where the request contradicts itself or attention.proto, or is too large for any memory: what is wrong with
// it, the server says.
std::optional<ProblemSizes> SizesOf(const AttendRequest& request);

// For a request that SizesOf takes: the offset so that query row i of the batch entry sees key j where j ≤ i + offset;
// nothing where the mask is not causal. It is from −Sq to Sk: what lies beyond shows the same keys as these two do.
std::optional<std::int64_t> CausalOffset(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch);

// The same: query row `row` of the batch entry sees only keys before this one, by all masks but the boolean one. A
// later row's is never less.
std::int64_t VisibleKeysEnd(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch,
                            std::int64_t row);

}  // namespace attnd
