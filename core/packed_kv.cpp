#include "core/packed_kv.h"

namespace attnd::core {
namespace {

struct Sizes {
  std::int64_t keys_bytes = 0;
  std::int64_t values_bytes = 0;
};

Sizes SizesOf(const Plan& plan, const Sequence& sequence) {
  const std::int64_t tiles = TilesOf(sequence).packed_key_tiles;
  return {.keys_bytes = plan.PackedKeySizeBytes(tiles, sequence.keys),
          .values_bytes = plan.PackedValueSizeBytes(tiles, sequence.keys)};
}

}  // namespace

std::unique_ptr<PackedKv> PackedKv::Make(const Plan& plan, const Sequence& sequence) {
  std::unique_ptr<PackedKv> packed(new PackedKv(TilesOf(sequence).packed_key_tiles));
  if (packed->key_tiles() == 0) return packed;
  const Sizes sizes = SizesOf(plan, sequence);
  packed->own_keys_ = AllocateAligned(static_cast<std::size_t>(sizes.keys_bytes));
  packed->own_values_ = AllocateAligned(static_cast<std::size_t>(sizes.values_bytes));
  if (packed->own_keys_ == nullptr || packed->own_values_ == nullptr) return nullptr;
  packed->Place(plan, packed->own_keys_.get(), packed->own_values_.get());
  return packed;
}

PackedKv PackedKv::InMemory(const Plan& plan, const Sequence& sequence, std::byte* memory) {
  PackedKv packed(TilesOf(sequence).packed_key_tiles);
  packed.Place(plan, memory, memory + SizesOf(plan, sequence).keys_bytes);
  return packed;
}

std::int64_t PackedKv::SizeBytes(const Plan& plan, const Sequence& sequence) {
  const Sizes sizes = SizesOf(plan, sequence);
  return sizes.keys_bytes + sizes.values_bytes;
}

PackedKv PackedKv::OfOneTile(const Sequence& sequence, std::byte* keys, std::byte* values) {
  PackedKv packed(TilesOf(sequence).packed_key_tiles);
  packed.keys_ = keys;
  packed.values_ = values;
  return packed;
}

void PackedKv::Place(const Plan& plan, std::byte* keys, std::byte* values) {
  const auto operand_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan.operand_type));
  key_tile_size_bytes_ = kKeyTileKeys * plan.padded_head_size * operand_size_bytes;
  value_tile_size_bytes_ = kKeyTileKeys * plan.padded_value_head_size * operand_size_bytes;
  keys_ = keys;
  values_ = values;
}

}  // namespace attnd::core
