// The keys and values of one group (a batch entry's key and value head), packed for the products: an object with an
// owner and a lifetime of its own, shared by all query tiles and all query heads that read it.
#pragma once

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/plan.h"

namespace attnd::core {

// Different key tiles may be filled by different threads; when all are filled, any thread may read.
class PackedKv {
 public:
  // Null where the memory cannot be had.
  static std::unique_ptr<PackedKv> Make(const Plan& plan, const Sequence& sequence);
  // The same, in memory of SizeBytes(plan, sequence) that is borrowed.
  static PackedKv InMemory(const Plan& plan, const Sequence& sequence, std::byte* memory);
  static std::int64_t SizeBytes(const Plan& plan, const Sequence& sequence);
  // One that holds a single key tile at a time, the one that was filled last, in memory that is borrowed: for a thread
  // that reads each tile once.
  static PackedKv OfOneTile(const Sequence& sequence, std::byte* keys, std::byte* values);

  std::int64_t key_tiles() const { return static_cast<std::int64_t>(has_large_values_.size()); }

  // The panels of a key tile's keys, and of its values.
  std::byte* keys(std::int64_t key_tile) { return keys_ + key_tile * key_tile_size_bytes_; }
  const std::byte* keys(std::int64_t key_tile) const { return keys_ + key_tile * key_tile_size_bytes_; }
  std::byte* values(std::int64_t key_tile) { return values_ + key_tile * value_tile_size_bytes_; }
  const std::byte* values(std::int64_t key_tile) const { return values_ + key_tile * value_tile_size_bytes_; }

  // What is not finite among a tile's values is packed as 0; here are its sums, [Dv], or nothing where all is finite.
  // Rows that see it get it back (values.h).
  void set_non_finite_sums(std::int64_t key_tile, std::vector<float> sums) {
    non_finite_sums_[static_cast<std::size_t>(key_tile)] = std::move(sums);
  }
  const std::vector<float>& non_finite_sums(std::int64_t key_tile) const {
    return non_finite_sums_[static_cast<std::size_t>(key_tile)];
  }

  // Where the values' tensor may be gone when they are read: a tile's values as they came, [keys, Dv], if some are not
  // finite.
  void KeepPlainNonFinite() { plain_values_.resize(has_large_values_.size()); }
  bool keeps_plain_non_finite() const { return !plain_values_.empty(); }
  void set_plain_values(std::int64_t key_tile, std::vector<std::byte> values) {
    plain_values_[static_cast<std::size_t>(key_tile)] = std::move(values);
  }
  const std::byte* plain_values(std::int64_t key_tile) const {
    return plain_values_[static_cast<std::size_t>(key_tile)].data();
  }

  // Among the tile's values are some so large that sums of them may overflow (kernels::kLargeValue).
  void set_has_large_values(std::int64_t key_tile, bool large) {
    has_large_values_[static_cast<std::size_t>(key_tile)] = large ? 1 : 0;
  }
  bool has_large_values() const {
    return std::any_of(has_large_values_.begin(), has_large_values_.end(),
                       [](std::uint8_t large) { return large != 0; });
  }

  // The mean of all values, where empty rows ask for it; filled with the first key tile.
  std::vector<float> value_mean;

 private:
  explicit PackedKv(std::int64_t tiles)
      : non_finite_sums_(static_cast<std::size_t>(tiles)), has_large_values_(static_cast<std::size_t>(tiles)) {}

  // From a tile to the next; 0 where all take the place of the first.
  std::int64_t key_tile_size_bytes_ = 0;
  std::int64_t value_tile_size_bytes_ = 0;
  std::byte* keys_ = nullptr;
  std::byte* values_ = nullptr;
  // What they point to, where it is not borrowed.
  AlignedBuffer own_memory_;
  // One a key tile. Those of short sequences are in here: what is read once has no other allocations.
  static constexpr std::size_t kInlineTiles = 2;
  absl::InlinedVector<std::vector<float>, kInlineTiles> non_finite_sums_;
  std::vector<std::vector<std::byte>> plain_values_;
  absl::InlinedVector<std::uint8_t, kInlineTiles> has_large_values_;  // bytes, which threads may write side by side
};

}  // namespace attnd::core
