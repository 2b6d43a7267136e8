#include "core/packed_keys_values.h"

#include <absl/strings/str_cat.h>

namespace attnd::core {
namespace {

std::string Describe(std::int64_t batch, std::int64_t heads, std::int64_t keys, std::int64_t head_size,
                     std::int64_t value_head_size, ElementType type) {
  return absl::StrCat(batch, " batch entries, ", heads, " heads, ", keys, " keys and sizes ", head_size, " and ",
                      value_head_size, " of ", ElementTypeName(type));
}

}  // namespace

PackedKeysValues::PackedKeysValues(const Problem& problem)
    : element_type_(problem.element_type),
      batch_(problem.batch),
      key_value_heads_(problem.key_value_heads),
      keys_(problem.keys),
      head_size_(problem.head_size),
      value_head_size_(problem.value_head_size),
      key_offsets_(problem.key_offsets),
      empty_row_(problem.empty_row) {}

std::unique_ptr<PackedKeysValues> PackedKeysValues::Make(const Problem& problem, const Plan& plan) {
  const auto sequence_of = [&](std::int64_t group) {
    Sequence sequence = problem.SequenceAt(group / problem.key_value_heads);
    // All keys: other problems' lengths may be longer.
    sequence.key_length = sequence.keys;
    return sequence;
  };
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
  const std::string found = Describe(problem.batch, problem.key_value_heads, problem.keys, problem.head_size,
                                     problem.value_head_size, problem.element_type);
  const std::string expected = Describe(batch_, key_value_heads_, keys_, head_size_, value_head_size_, element_type_);
  if (found != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("key and value: ", found, " found, the ", expected, " that were packed expected"));
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
