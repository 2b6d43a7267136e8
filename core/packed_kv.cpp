#include "core/packed_kv.h"

namespace attnd::core {
namespace {

std::int64_t KeysSizeBytes(const Plan& plan, const Sequence& sequence) {
  return plan.PackedKeySizeBytes(TilesOf(sequence).packed_key_tiles, sequence.keys);
}

}  // namespace

std::unique_ptr<PackedKv> PackedKv::Make(const Plan& plan, const Sequence& sequence) {
  AlignedBuffer memory = AllocateAligned(static_cast<std::size_t>(SizeBytes(plan, sequence)));
  if (memory == nullptr) return nullptr;
  std::unique_ptr<PackedKv> packed(new PackedKv(InMemory(plan, sequence, memory.get())));
  packed->own_memory_ = std::move(memory);
  return packed;
}

PackedKv PackedKv::InMemory(const Plan& plan, const Sequence& sequence, std::byte* memory) {
  const auto operand_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(plan.operand_type));
  PackedKv packed = OfOneTile(sequence, memory, memory + KeysSizeBytes(plan, sequence));
  packed.key_tile_size_bytes_ = kKeyTileKeys * plan.padded_head_size * operand_size_bytes;
  packed.value_tile_size_bytes_ = kKeyTileKeys * plan.padded_value_head_size * operand_size_bytes;
  return packed;
}

std::int64_t PackedKv::SizeBytes(const Plan& plan, const Sequence& sequence) {
  return KeysSizeBytes(plan, sequence) + plan.PackedValueSizeBytes(TilesOf(sequence).packed_key_tiles, sequence.keys);
}

PackedKv PackedKv::OfOneTile(const Sequence& sequence, std::byte* keys, std::byte* values) {
  PackedKv packed(TilesOf(sequence).packed_key_tiles);
  packed.keys_ = keys;
  packed.values_ = values;
  return packed;
}

}  // namespace attnd::core
