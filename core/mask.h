// Which keys a query row may see. All masks that are given apply together.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/tensor.h"

namespace attnd::core {

enum class CausalAlignment : std::uint8_t {
  kUnspecified,  // allowed only where Sq == Sk
  kTopLeft,      // key j is visible to query i where j ≤ i
  kBottomRight,  // key j is visible to query i where j ≤ i + Sk − Sq
};

// As a caller gives it; problem.h checks it.
struct MaskOptions {
  // At most one of the two.
  std::optional<CausalAlignment> causal;
  // One a batch entry, of any sign: key j is visible to query i of entry b where j ≤ i + causal_offsets[b].
  std::optional<std::vector<std::int64_t>> causal_offsets;
  // One a batch entry, each from 0 to Sk: key j of entry b is visible where j < key_lengths[b].
  std::optional<std::vector<std::int64_t>> key_lengths;
  // ElementType::kBool, broadcast from the right to the shape of the weights; an element that is not 0 makes its key
  // visible.
  std::optional<TensorDescription> boolean;
};

// What a query row that may see no key gives.
enum class EmptyRow : std::uint8_t {
  kZero,             // output 0, weights 0
  kMeanOfAllValues,  // output the mean of all Sk values of its batch entry and head, weights 1/Sk
};

}  // namespace attnd::core
