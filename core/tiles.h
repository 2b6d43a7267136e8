// Which keys a query row sees, and what that makes of a tile: decided before any product. Pure functions.
#pragma once

#include <cstdint>

#include "core/plan.h"
#include "core/problem.h"

namespace attnd::core {

enum class TileKind : std::uint8_t {
  kHidden,  // no row of the tile sees a key of it
  kFull,    // every row sees every key
  kMixed,
};

// The keys that a query row sees by the masks in closed form (causal, key lengths).
Range VisibleKeys(const Problem& problem, std::int64_t batch, std::int64_t query_row);

// What the masks in closed form make of the tile of these query rows and keys.
TileKind ClassifyTile(const Problem& problem, std::int64_t batch, Range query_rows, Range keys);

// Where the boolean mask's bytes for a query row begin (that of key 0), or null where there is none. `mask` is its
// data.
const std::uint8_t* MaskRow(const Problem& problem, const std::uint8_t* mask, std::int64_t batch, std::int64_t head,
                            std::int64_t query_row);

// Whether the boolean mask lets any of these query rows see any of these keys. True where there is none.
bool MaskShowsAny(const Problem& problem, const std::uint8_t* mask, std::int64_t batch, std::int64_t head,
                  Range query_rows, Range keys);

}  // namespace attnd::core
