// What a worker keeps between pieces of work: the intermediate results of one tile. Its size is fixed by kMaxHeadSize,
// so that no problem can make a worker allocate.
#pragma once

#include <array>
#include <cstdint>

#include "core/aligned_buffer.h"
#include "core/limits.h"
#include "core/plan.h"
#include "core/tiles.h"

namespace attnd::core {

// Not thread-safe: one a worker.
class Scratch {
 public:
  // Throws std::bad_alloc.
  Scratch();

  // The tile's queries as the products take them: kQueryTileRows × padded D.
  void* query() { return query_.get(); }
  // kQueryTileRows × kKeyTileKeys.
  float* scores() { return reinterpret_cast<float*>(scores_.get()); }
  // The same for operand types of 2 bytes; float32 weights take the scores' place.
  void* half_weights() { return half_weights_.get(); }
  // Weighted sums of values: kQueryTileRows × padded Dv.
  float* sums() { return reinterpret_cast<float*>(sums_.get()); }
  // A panel of keys before it is packed: kPanelColumns × padded D.
  void* panel() { return panel_.get(); }
  // A key tile's keys and values, packed: kKeyTileKeys × padded D, and × padded Dv.
  std::byte* key_tile() { return key_tile_.get(); }
  std::byte* value_tile() { return value_tile_.get(); }
  // What is added to the scores: kQueryTileRows × kKeyTileKeys.
  float* added() { return reinterpret_cast<float*>(added_.get()); }
  // What FindVisibility needs: as many bytes.
  std::uint8_t* mask_bytes() { return reinterpret_cast<std::uint8_t*>(mask_bytes_.get()); }

  // The running softmax, one a row.
  std::array<float, kQueryTileRows> maximum;
  std::array<float, kQueryTileRows> sum;
  std::array<float, kQueryTileRows> factor;
  std::array<std::uint8_t, kQueryTileRows> seen;
  // The keys that the masks in closed form show each row, and what that makes of the key tile at hand.
  std::array<Range, kQueryTileRows> row_keys;
  TileVisibility visibility;
  // Which of its columns are computed.
  Range columns;

  // Whether a key tile's weighted values are in the sums; until then they are 0.
  bool has_sums = false;

  // A power of two that weights are multiplied with before their product, so that the tile's sums do not overflow.
  float weights_factor = 1;

 private:
  AlignedBuffer query_;
  AlignedBuffer scores_;
  AlignedBuffer half_weights_;
  AlignedBuffer sums_;
  AlignedBuffer panel_;
  AlignedBuffer key_tile_;
  AlignedBuffer value_tile_;
  AlignedBuffer added_;
  AlignedBuffer mask_bytes_;
};

}  // namespace attnd::core
