// Which keys each query row of a tile sees, and what that makes of the tile: decided before any product. Pure
// functions.
#pragma once

#include <array>
#include <cstdint>

#include "core/kernels/softmax.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/tensors.h"

namespace attnd::core {

// Query rows of one batch entry and query head that follow each other, in a tile of up to kQueryTileRows.
struct QueryTile {
  std::int64_t batch_entry = 0;
  std::int64_t query_head = 0;
  std::int64_t key_value_head = 0;
  Sequence sequence;  // the batch entry's
  Range rows;         // counted from the sequence's first
  // The place of the first of them in the tile.
  std::int64_t first = 0;
};

// A tile: the same rows of several query heads of a group, one head after the other.
struct GroupTile {
  QueryTile first_head;
  std::int64_t heads = 1;

  std::int64_t rows() const { return heads * first_head.rows.size(); }
  QueryTile Head(std::int64_t index) const {
    QueryTile head = first_head;
    head.query_head += index;
    head.first = index * head.rows.size();
    return head;
  }
};

// The keys that a query row sees by the masks in closed form: causal, prefix, window and lengths. None for padding.
Range VisibleKeys(const Problem& problem, const Sequence& sequence, std::int64_t query_row);

// The same for each row of a tile. `row_keys` has one for each place in it.
void FindRowKeys(const Problem& problem, const QueryTile& tile, Range* row_keys);

enum class TileKind : std::uint8_t {
  kHidden,  // no row of the tile sees a key of it
  kFull,    // every row sees every key
  kMixed,
};

// Which pairs of the rows of a query tile and the keys of a key tile are visible: those in the row's interval of
// columns and, where `bytes` is not null, with a byte that is not 0.
struct TileVisibility {
  std::array<kernels::ColumnInterval, kQueryTileRows> columns;
  // kKeyTileKeys from a row to the next; the memory that FindVisibility was given.
  const std::uint8_t* bytes = nullptr;

  const std::uint8_t* RowBytes(std::int64_t row) const {
    return bytes == nullptr ? nullptr : bytes + row * kKeyTileKeys;
  }
};

// Finds it for the places of the rows, by all masks and by biases of −∞. `row_keys` is what FindRowKeys found. `memory`
// has room for kQueryTileRows × kKeyTileKeys bytes.
TileKind FindVisibility(const Problem& problem, const Tensors& tensors, const QueryTile& tile, Range keys,
                        const Range* row_keys, std::uint8_t* memory, TileVisibility& visibility);

// Whether some key may be hidden from some row.
bool MayHideKeys(const Problem& problem);

// The columns of a tile that must be computed for the places of a tile: whole panels, from the first to the last that
// any of `rows` places sees, but none from `end` on.
Range VisiblePanels(const TileVisibility& visibility, std::int64_t rows, std::int64_t end);

}  // namespace attnd::core
