// The keys and values of a whole problem, packed once and read by many calls: what a cache of them holds.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/packed_kv.h"
#include "core/plan.h"
#include "core/problem.h"

namespace attnd::core {

// Engine::Pack makes it; then constant, and thread-safe.
class PackedKeysValues {
 public:
  // With room for those of the problem that its lengths do not hide. Null where the memory cannot be had.
  static std::unique_ptr<PackedKeysValues> Make(const Problem& problem, const Plan& plan);

  // Whether the problem can be computed from it: its keys and values must have the type, the sizes and the offsets of
  // those that were packed, and empty rows get the mean of all values only where they did there. Queries, masks,
  // lengths and what is returned may differ. INVALID_ARGUMENT otherwise.
  absl::Status CheckFits(const Problem& problem) const;

  // Memory that it holds, but for what it keeps of values that are not finite.
  std::int64_t size_bytes() const { return size_bytes_; }

  // By group (plan.h).
  PackedKv& group(std::int64_t index) { return groups_[static_cast<std::size_t>(index)]; }
  const PackedKv& group(std::int64_t index) const { return groups_[static_cast<std::size_t>(index)]; }

 private:
  // As in Problem.
  struct Sizes {
    ElementType element_type;
    std::int64_t batch;
    std::int64_t key_value_heads;
    std::int64_t keys;
    std::int64_t head_size;
    std::int64_t value_head_size;
    bool operator==(const Sizes&) const = default;
  };
  static Sizes SizesOf(const Problem& problem);
  static std::string ToString(const Sizes& sizes);

  explicit PackedKeysValues(const Problem& problem);

  const Sizes sizes_;
  const std::vector<std::int64_t> key_offsets_;
  const EmptyRow empty_row_;

  std::int64_t size_bytes_ = 0;
  AlignedBuffer memory_;  // of all groups together, so that it may be in huge pages
  std::vector<PackedKv> groups_;
};

}  // namespace attnd::core
