// What a request is about, whatever its rank and layout. Pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "client/cpp/attention.h"
#include "client/cpp/box.h"

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

// Whether a problem may be cut at all: a ragged batch and summaries are for the whole.
bool MayBeCut(const AttendRequest& request);

// Nothing where the request may not be cut; where it contradicts itself or attention.proto, or is too large for any
// memory: what is wrong with it, the server says.
std::optional<ProblemSizes> SizesOf(const AttendRequest& request);

// The others are for requests that SizesOf takes.

bool IsCausal(const MaskOptions& mask);

// Whether it matters where the rows stand.
bool CountsPositions(const AttendRequest& request);

// Query row i of the batch entry stands at i + offset. No farther away than servers tell apart.
std::int64_t PositionOffset(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch);

// The query rows of the batch entry that are no padding.
std::int64_t QueryLength(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch);

// Query row `row` of the batch entry, which must be no padding, sees no keys but these, by the masks in closed form and
// by how far the others reach. Neither end is less than an earlier row's, and no row between two that see keys here
// sees none.
Range VisibleKeys(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t batch, std::int64_t row);

// Whether there is a mask that VisibleKeys does not know all of.
bool HasOtherMasks(const AttendRequest& request);

}  // namespace attnd
