// One attention problem as the client takes it, and its result. The fields' meanings, shapes, defaults and what the
// server refuses are described in proto/attnd/v1/attention.proto, whose names are used here.
#pragma once

#include <absl/strings/string_view.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cpp/tensor.h"

namespace attnd {

enum class Layout : std::uint8_t {
  kBhsd,  // [S, D], [B, S, D] or [B, H, S, D]
  kBshd,  // [B, S, H, D]
};

// Where the queries stand among the keys: query row i at i + offset.
enum class CausalAlignment : std::uint8_t {
  kUnspecified,  // taken only where there are as many queries as keys
  kTopLeft,      // offset 0
  kBottomRight,  // offset Sk − Sq
};

// Query row i stands at p_i = i + offset, from where windows, ALiBi and the mean distance count. By alignment or by
// offsets, not both.
struct Positions {
  CausalAlignment alignment = CausalAlignment::kUnspecified;
  std::optional<std::vector<std::int64_t>> offsets = std::nullopt;  // one a batch entry
};

// Key j is visible to query i where p_i − left ≤ j ≤ p_i + right.
struct SlidingWindow {
  std::optional<std::int64_t> left = std::nullopt;   // default: all before
  std::optional<std::int64_t> right = std::nullopt;  // default: all after
};

// Key j is visible to query i where their numbers are the same. ElementType::kInt32.
struct SegmentIds {
  TensorView query;  // [B, Sq]; [Sq] where the query has rank 2; [Tq] in a ragged batch
  TensorView key;    // [B, Sk], [Sk] or [Tk]
};

// Key j is visible to query i where element [i / query_block_rows, j / key_block_keys] is true.
struct BlockMask {
  std::int64_t query_block_rows = 0;
  std::int64_t key_block_keys = 0;
  // ElementType::kBool, broadcast from the right to the weights' shape with blocks in the place of rows and keys.
  TensorView tensor;
};

// All that are given apply together; without any, every key is visible.
struct MaskOptions {
  // Key j is visible to query i where j ≤ i + offset, by alignment …
  std::optional<CausalAlignment> causal = std::nullopt;
  // … or instead of it by offsets, one a batch entry.
  std::optional<std::vector<std::int64_t>> causal_offsets = std::nullopt;
  // One a batch entry: the first keys that every query row of a causal mask sees besides. Makes the mask causal.
  std::optional<std::vector<std::int64_t>> causal_prefix_lengths = std::nullopt;
  // One a batch entry: key j of entry b is visible where j < key_lengths[b].
  std::optional<std::vector<std::int64_t>> key_lengths = std::nullopt;
  // ElementType::kBool, broadcast from the right to the shape of the weights, also with fewer keys; true makes a key
  // visible.
  std::optional<TensorView> boolean = std::nullopt;
  // One a batch entry: rows of entry b from query_lengths[b] on are padding, whose output is 0.
  std::optional<std::vector<std::int64_t>> query_lengths = std::nullopt;
  std::optional<SlidingWindow> window = std::nullopt;
  std::optional<SegmentIds> segments = std::nullopt;
  std::optional<BlockMask> blocks = std::nullopt;
};

// A batch of sequences one after the other: query [Tq, H, D], key [Tk, Hkv, D], value [Tk, Hkv, Dv]. B + 1 offsets
// each.
struct RaggedBatch {
  std::vector<std::int64_t> query_offsets;
  std::vector<std::int64_t> key_offsets;
};

// Where bias and ALiBi are added.
enum class BiasPlace : std::uint8_t { kAfterSoftCap, kBeforeSoftCap };

// What a query row that may see no key gives.
enum class EmptyRow : std::uint8_t {
  kZero,             // output 0, weights 0
  kMeanOfAllValues,  // output the mean of all Sk values, weights 1/Sk
};

enum class HeadReduction : std::uint8_t {
  kNone,  // each head has its own
  kMean,
  kSum,
};

enum class MatrixStage : std::uint8_t { kScaled, kSoftCapped, kMasked, kWeights };

struct MatrixRows {
  MatrixStage stage = MatrixStage::kWeights;
  std::optional<ElementType> element_type = std::nullopt;  // default: float32

  bool operator==(const MatrixRows&) const = default;
};

enum class Pooling : std::uint8_t { kMean, kMaximum };

struct PooledMap {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  Pooling pooling = Pooling::kMean;

  bool operator==(const PooledMap&) const = default;
};

// What to tell about the weights, without their memory. By default nothing.
struct Summaries {
  // What is covered: ascending numbers; empty is all.
  std::vector<std::int64_t> batch_entries = {};
  std::vector<std::int64_t> heads = {};
  std::vector<std::int64_t> query_rows = {};
  HeadReduction head_reduction = HeadReduction::kNone;

  std::optional<MatrixRows> matrix = std::nullopt;
  std::int64_t top_keys = 0;  // how many; 0 is none
  bool entropy = false;
  bool largest_weight = false;
  std::int64_t first_keys = 0;  // how many; 0 is none
  bool mean_distance = false;
  bool received_sum = false;
  bool received_maximum = false;
  std::optional<PooledMap> pooled_map = std::nullopt;

  bool operator==(const Summaries&) const = default;
};

// One attention problem, of which query, key and value must be given. The views' memory is the caller's; it is sent
// from where it lies.
struct AttendRequest {
  TensorView query;
  TensorView key;
  TensorView value;
  Layout layout = Layout::kBhsd;               // kBhsd where the batch is ragged
  std::optional<double> scale = std::nullopt;  // default 1/√D
  MaskOptions mask = {};
  EmptyRow empty_row = EmptyRow::kZero;
  bool return_weights = false;
  bool return_log_sum_exp = false;

  // Default: where mask.causal says; as many queries as keys are needed where that says nothing and it matters.
  std::optional<Positions> positions = std::nullopt;
  std::optional<RaggedBatch> ragged = std::nullopt;
  // Added to each score: float32 or the query's type, broadcast as mask.boolean. −∞ hides.
  std::optional<TensorView> bias = std::nullopt;
  // One a query head: −slope·|p_i − j| is added to each score.
  std::optional<std::vector<float>> alibi_slopes = std::nullopt;
  BiasPlace bias_place = BiasPlace::kAfterSoftCap;
  // c in c·tanh(score / c).
  std::optional<double> soft_cap = std::nullopt;
  // One logit a query head, which takes part in the softmax's denominator and nowhere else.
  std::optional<std::vector<float>> sinks = std::nullopt;
  Summaries summaries = {};
};

// What the server did, and how long it took. Of a problem that was cut, the sums over its pieces, which were in part at
// work at the same time; a tile that no piece had is not counted.
struct Report {
  std::string kernel;  // of a problem that was cut, all that its pieces had, in practice one: "A" or "A, B"
  std::int64_t query_tile_rows = 0;
  std::int64_t key_tile_keys = 0;
  std::int64_t computed_tiles = 0;
  std::int64_t skipped_tiles = 0;
  double floating_point_operations = 0;
  std::int64_t empty_rows = 0;
  double decode_seconds = 0;
  double queue_seconds = 0;
  double compute_seconds = 0;
  double encode_seconds = 0;
  std::string fingerprint = {};  // of a problem that was cut, as kernel
  std::int64_t summary_tiles = 0;
};

// Beside the output, a tensor is there where it was asked for.
struct AttendResult {
  Tensor output;                      // the query's shape with Dv as the last dimension, the query's element type
  std::optional<Tensor> weights;      // float32 [.., Sq, Sk]
  std::optional<Tensor> log_sum_exp;  // float32 [.., Sq]; natural logarithm
  Report report;

  // Summaries of the chosen batch entries, heads and rows [B', H', S']; float32 where nothing else is said.
  std::optional<Tensor> matrix;             // [B', H', S', Sk], of the type that was asked for
  std::optional<Tensor> top_keys;           // int32 [B', H', S', k], largest weight first; −1 where there are no more
  std::optional<Tensor> top_weights;        // [B', H', S', k]
  std::optional<Tensor> entropy;            // [B', H', S'], in nats
  std::optional<Tensor> largest_weight;     // [B', H', S']
  std::optional<Tensor> first_keys_weight;  // [B', H', S']
  std::optional<Tensor> mean_distance;      // [B', H', S'], in keys
  std::optional<Tensor> received_sum;       // [B', H', Sk]
  std::optional<Tensor> received_maximum;   // [B', H', Sk]
  std::optional<Tensor> pooled_map;         // [B', H', rows, columns]
};

struct NamedTensor {
  absl::string_view name;  // "output", "top_keys" …: the field of attention.proto's AttentionResult
  const Tensor* tensor;
};

// The tensors that a result has. Good while the result lives and is not moved from.
std::vector<NamedTensor> TensorsOf(const AttendResult& result);

// The names of all that a result may have.
std::vector<absl::string_view> ResultTensorNames();

// The result over one range of keys: what Attend gives for it with return_log_sum_exp. An empty one is (0, −∞).
struct PartialResult {
  TensorView output;       // [.., Dv], in any order of the dimensions
  TensorView log_sum_exp;  // float32: one for each last dimension of the output, in the same order
};

struct MergedResult {
  Tensor output;
  Tensor log_sum_exp;
};

}  // namespace attnd
