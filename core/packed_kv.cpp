#include "core/packed_kv.h"

namespace attnd::core {

std::unique_ptr<PackedKv> PackedKv::Make(const Plan& plan, const Sequence& sequence) {
  const std::int64_t tiles = TilesOf(sequence).packed_key_tiles;
  std::unique_ptr<PackedKv> packed(new PackedKv(tiles));
  const auto operand_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan.operand_type));
  packed->key_tile_size_bytes_ = kKeyTileKeys * plan.padded_head_size * operand_size_bytes;
  packed->value_tile_size_bytes_ = kKeyTileKeys * plan.padded_value_head_size * operand_size_bytes;
  if (tiles == 0) return packed;
  packed->own_keys_ = AllocateAligned(static_cast<std::size_t>(plan.PackedKeySizeBytes(tiles, sequence.keys)));
  packed->own_values_ = AllocateAligned(static_cast<std::size_t>(plan.PackedValueSizeBytes(tiles, sequence.keys)));
  if (packed->own_keys_ == nullptr || packed->own_values_ == nullptr) return nullptr;
  packed->keys_ = packed->own_keys_.get();
  packed->values_ = packed->own_values_.get();
  return packed;
}

PackedKv PackedKv::OfOneTile(const Sequence& sequence, std::byte* keys, std::byte* values) {
  PackedKv packed(TilesOf(sequence).packed_key_tiles);
  packed.keys_ = keys;
  packed.values_ = values;
  return packed;
}

}  // namespace attnd::core
