#include "core/packed_keys_values.h"

#include <absl/strings/str_cat.h>

namespace attnd::core {

PackedKeysValues::Sizes PackedKeysValues::SizesOf(const Problem& problem) {
  return {.element_type = problem.element_type,
          .batch = problem.batch,
          .key_value_heads = problem.key_value_heads,
          .keys = problem.keys,
          .head_size = problem.head_size,
          .value_head_size = problem.value_head_size};
}

std::string PackedKeysValues::ToString(const Sizes& sizes) {
  return absl::StrCat(sizes.batch, " batch entries, ", sizes.key_value_heads, " heads, ", sizes.keys,
                      " keys and sizes ", sizes.head_size, " and ", sizes.value_head_size, " of ",
                      ElementTypeName(sizes.element_type));
}

PackedKeysValues::PackedKeysValues(const Problem& problem)
    : sizes_(SizesOf(problem)), key_offsets_(problem.key_offsets), empty_row_(problem.empty_row) {}

std::unique_ptr<PackedKeysValues> PackedKeysValues::Make(const Problem& problem, const Plan& plan) {
  const auto sequence_of = [&](std::int64_t group) { return problem.SequenceAt(group / problem.key_value_heads); };
  std::unique_ptr<PackedKeysValues> packed(new PackedKeysValues(problem));
  for (std::int64_t group = 0; group < plan.groups; ++group) {
    packed->size_bytes_ += PackedKv::SizeBytes(plan, sequence_of(group));
  }
  packed->memory_ = AllocateAligned(static_cast<std::size_t>(packed->size_bytes_));
  if (packed->memory_ == nullptr) return nullptr;
  std::byte* memory = packed->memory_.get();
  for (std::int64_t group = 0; group < plan.groups; ++group) {
    const Sequence sequence = sequence_of(group);
    packed->groups_.push_back(PackedKv::InMemory(plan, sequence, memory));
    packed->groups_.back().KeepPlainNonFinite();
    memory += PackedKv::SizeBytes(plan, sequence);
  }
  return packed;
}

absl::Status PackedKeysValues::CheckFits(const Problem& problem) const {
  const Sizes found = SizesOf(problem);
  if (found != sizes_) {
    return absl::InvalidArgumentError(absl::StrCat("key and value: ", ToString(found), " found, the ", ToString(sizes_),
                                                   " that were packed expected"));
  }
  if (problem.key_offsets != key_offsets_) {
    return absl::InvalidArgumentError("key offsets: those of the keys that were packed expected");
  }
  if (problem.empty_row == EmptyRow::kMeanOfAllValues && empty_row_ != EmptyRow::kMeanOfAllValues) {
    return absl::InvalidArgumentError("empty rows: the mean of all values was not found when they were packed");
  }
  return absl::OkStatus();
}

}  // namespace attnd::core
