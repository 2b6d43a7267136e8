#include "core/packed_kv.h"

namespace attnd::core {

std::unique_ptr<PackedKv> PackedKv::Make(const Plan& plan, const Sequence& sequence) {
  std::unique_ptr<PackedKv> packed(new PackedKv());
  const auto operand_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan.operand_type));
  packed->key_tile_size_bytes_ = kKeyTileKeys * plan.padded_head_size * operand_size_bytes;
  packed->value_tile_size_bytes_ = kKeyTileKeys * plan.padded_value_head_size * operand_size_bytes;
  const std::int64_t tiles = TilesOf(sequence).packed_key_tiles;
  if (tiles == 0) return packed;
  packed->keys_ = AllocateAligned(static_cast<std::size_t>(plan.PackedKeySizeBytes(tiles, sequence.keys)));
  packed->values_ = AllocateAligned(static_cast<std::size_t>(plan.PackedValueSizeBytes(tiles, sequence.keys)));
  if (packed->keys_ == nullptr || packed->values_ == nullptr) return nullptr;
  packed->non_finite_sums_.resize(static_cast<std::size_t>(tiles));
  packed->has_large_values_.resize(static_cast<std::size_t>(tiles));
  return packed;
}

}  // namespace attnd::core
