// The only door from what a caller describes to a problem that may be computed. Behind it nothing is checked again.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/limits.h"
#include "core/mask.h"
#include "core/modifiers.h"
#include "core/summaries.h"
#include "core/tensor.h"
#include "core/tensors.h"

namespace attnd::core {

enum class Layout : std::uint8_t {
  kBhsd,  // [S, D], [B, S, D] or [B, H, S, D]
  kBshd,  // [B, S, H, D]
};

// Sequences one after the other: query [Tq, H, D], key and value [Tk, Hkv, D]. B + 1 offsets each.
struct RaggedOptions {
  std::vector<std::int64_t> query_offsets;
  std::vector<std::int64_t> key_offsets;
};

// A problem as its caller describes it. Field by field the AttentionProblem of proto/attnd/v1/attention.proto, which
// says what each means and when it is refused.
struct ProblemDescription {
  TensorDescription query;
  TensorDescription key;
  TensorDescription value;
  Layout layout = Layout::kBhsd;     // kBhsd where the batch is ragged
  std::optional<double> scale = {};  // default 1/√D
  MaskOptions mask = {};
  PositionOptions positions = {};
  std::optional<RaggedOptions> ragged = {};
  ModifierOptions modifiers = {};
  EmptyRow empty_row = EmptyRow::kZero;
  bool return_weights = false;
  bool return_log_sum_exp = false;
  SummaryOptions summaries = {};

  // The bytes that came for each tensor; 0 where none came.
  PerInput<std::int64_t> size_bytes = {};
};

// Where element (b, h, s, 0) of a tensor lies, in elements from its start; the last dimension is dense.
struct Strides {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t row = 0;
};

// Where element (b, h, i, j) of a tensor that broadcasts to the weights lies, in elements from its start; 0 along a
// broadcast dimension.
struct BroadcastStrides {
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::int64_t query = 0;
  std::int64_t key = 0;
  // Keys from here on are not in it, and are hidden.
  std::int64_t keys_end = 0;
};

struct BlockMask {
  std::int64_t query_block_rows = 1;
  std::int64_t key_block_keys = 1;
  BroadcastStrides strides;  // of blocks
};

struct Bias {
  ElementType element_type = ElementType::kFloat32;
  BroadcastStrides strides;
};

// What a window that is open to a side is: more than any position.
inline constexpr std::int64_t kOpenWindow = std::int64_t{1} << 60;

// One batch entry: where its rows and keys lie, and what the masks in closed form are for it.
struct Sequence {
  // Before those of the entry, in a ragged batch; else 0.
  std::int64_t first_row = 0;
  std::int64_t first_key = 0;
  // How many there are, …
  std::int64_t rows = 0;
  std::int64_t keys = 0;
  // … and those before the padding.
  std::int64_t query_length = 0;
  std::int64_t key_length = 0;
  // Query row i stands at i + offset.
  std::int64_t offset = 0;
  // Keys that every row sees where the mask is causal.
  std::int64_t prefix_length = 0;
};

// A tensor of the answer.
struct AnswerTensor {
  TensorDescription description;
  std::int64_t size_bytes = 0;  // 0 where it is not asked for
};

// A problem that holds together. Only CheckProblem makes one.
struct Problem {
  ElementType element_type = ElementType::kFloat32;
  std::int64_t batch = 0;
  std::int64_t query_heads = 0;
  std::int64_t key_value_heads = 0;
  // Of each batch entry; of a ragged batch the most that one has.
  std::int64_t query_rows = 0;
  std::int64_t keys = 0;
  std::int64_t head_size = 0;
  std::int64_t value_head_size = 0;
  float scale = 1;

  Strides query_strides;
  Strides key_strides;
  Strides value_strides;
  Strides output_strides;
  // Of what has one element a row (log-sum-exp), heads before rows whatever the layout. The weights' are these times
  // `keys`.
  Strides row_strides;

  // Both empty, or B + 1.
  std::vector<std::int64_t> query_offsets;
  std::vector<std::int64_t> key_offsets;
  bool is_ragged() const { return !query_offsets.empty(); }

  // Where rows stand: one offset a batch entry or, where there are none, by alignment.
  std::vector<std::int64_t> position_offsets;
  bool is_bottom_right = false;

  // The masks in closed form; each vector is empty or has one a batch entry.
  bool is_causal = false;
  std::vector<std::int64_t> prefix_lengths;
  std::vector<std::int64_t> key_lengths;
  std::vector<std::int64_t> query_lengths;
  std::int64_t window_left = kOpenWindow;
  std::int64_t window_right = kOpenWindow;

  // The others.
  std::optional<BroadcastStrides> boolean_mask;
  bool has_segments = false;
  std::optional<BlockMask> block_mask;

  std::optional<Bias> bias;
  BiasPlace bias_place = BiasPlace::kAfterSoftCap;
  std::vector<float> alibi_slopes;  // empty, or one a query head
  std::optional<float> soft_cap;
  std::vector<float> sinks;  // empty, or one a query head

  EmptyRow empty_row = EmptyRow::kZero;
  SummaryOptions summaries;

  PerOutput<AnswerTensor> answer;

  Sequence SequenceAt(std::int64_t batch_entry) const;
};

// INVALID_ARGUMENT where the description contradicts itself; the text names the field as attention.proto spells it,
// what was found and what was expected. RESOURCE_EXHAUSTED where the answer is over the limits. Allocates nothing that
// grows with a tensor.
absl::StatusOr<Problem> CheckProblem(const ProblemDescription& description, const Limits& limits);

}  // namespace attnd::core
