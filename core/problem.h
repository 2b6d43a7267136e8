// The only door from what a caller describes to a problem that may be computed. Behind it nothing is checked again.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/limits.h"
#include "core/mask.h"
#include "core/tensor.h"

namespace attnd::core {

enum class Layout : std::uint8_t {
  kBhsd,  // [S, D], [B, S, D] or [B, H, S, D]
  kBshd,  // [B, S, H, D]
};

// A problem as its caller describes it. Field by field the AttentionProblem of proto/attnd/v1/attention.proto, which
// says what each means and when it is refused.
struct ProblemDescription {
  TensorDescription query;
  TensorDescription key;
  TensorDescription value;
  Layout layout = Layout::kBhsd;
  std::optional<double> scale = {};  // default 1/√D
  MaskOptions mask = {};
  EmptyRow empty_row = EmptyRow::kZero;
  bool return_weights = false;
  bool return_log_sum_exp = false;

  // The bytes that came for each tensor; mask_size_bytes is empty where none came.
  std::int64_t query_size_bytes = 0;
  std::int64_t key_size_bytes = 0;
  std::int64_t value_size_bytes = 0;
  std::optional<std::int64_t> mask_size_bytes = {};
};

// Where element (b, h, s, 0) of a tensor lies, in elements from its start; the last dimension is dense.
struct Strides {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t row = 0;
};

// Where element (b, h, i, j) of a boolean mask lies, in bytes from its start; 0 along a broadcast dimension.
struct MaskStrides {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t query = 0;
  std::int64_t key = 0;
};

// A problem that holds together. Only CheckProblem makes one.
struct Problem {
  ElementType element_type = ElementType::kFloat32;
  std::int64_t batch = 0;
  std::int64_t query_heads = 0;
  std::int64_t key_value_heads = 0;
  std::int64_t query_rows = 0;
  std::int64_t keys = 0;
  std::int64_t head_size = 0;
  std::int64_t value_head_size = 0;
  float scale = 1;

  Strides query_strides;
  Strides key_strides;
  Strides value_strides;
  Strides output_strides;

  // Both empty, or one a batch entry. Key j is visible to query i of entry b where j ≤ i + causal_offsets[b], …
  std::vector<std::int64_t> causal_offsets;
  // … and where j < key_lengths[b].
  std::vector<std::int64_t> key_lengths;
  std::optional<MaskStrides> boolean_mask;
  EmptyRow empty_row = EmptyRow::kZero;

  // What the answer holds; absent where not asked for.
  TensorDescription output;
  std::optional<TensorDescription> weights;
  std::optional<TensorDescription> log_sum_exp;
  std::int64_t output_size_bytes = 0;
  std::int64_t weights_size_bytes = 0;
  std::int64_t log_sum_exp_size_bytes = 0;
};

// INVALID_ARGUMENT where the description contradicts itself; the text names the field as attention.proto spells it,
// what was found and what was expected. RESOURCE_EXHAUSTED where the answer is over the limits. Allocates nothing that
// grows with a tensor.
absl::StatusOr<Problem> CheckProblem(const ProblemDescription& description, const Limits& limits);

}  // namespace attnd::core
