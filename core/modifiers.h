// What changes scores before the softmax. Field by field the bias, alibi, bias_place, soft_cap and sinks of
// proto/attnd/v1/attention.proto, which says what each means and when it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/tensor.h"

namespace attnd::core {

enum class BiasPlace : std::uint8_t { kAfterSoftCap, kBeforeSoftCap };

// As a caller gives it; problem.h checks it.
struct ModifierOptions {
  std::optional<TensorDescription> bias;
  std::optional<std::vector<float>> alibi_slopes;  // one a query head
  BiasPlace bias_place = BiasPlace::kAfterSoftCap;
  std::optional<double> soft_cap;
  std::vector<float> sinks;  // none, or one a query head
};

}  // namespace attnd::core
