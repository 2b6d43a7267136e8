// What to tell about the weights beside the output. Field by field the Summaries of proto/attnd/v1/attention.proto,
// which says what each means and when it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/tensor.h"

namespace attnd::core {

enum class HeadReduction : std::uint8_t { kNone, kMean, kSum };

enum class MatrixStage : std::uint8_t { kScaled, kSoftCapped, kMasked, kWeights };

struct MatrixRows {
  MatrixStage stage = MatrixStage::kWeights;
  std::optional<ElementType> element_type = {};  // default float32
};

enum class Pooling : std::uint8_t { kMean, kMaximum };

struct PooledMap {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  Pooling pooling = Pooling::kMean;
};

// As a caller gives it; problem.h checks it.
struct SummaryOptions {
  // What is covered, ascending; empty is all.
  std::vector<std::int64_t> batch_entries = {};
  std::vector<std::int64_t> heads = {};
  std::vector<std::int64_t> query_rows = {};
  HeadReduction head_reduction = HeadReduction::kNone;

  std::optional<MatrixRows> matrix = {};
  std::int64_t top_keys = 0;  // how many; 0 is none
  bool entropy = false;
  bool largest_weight = false;
  std::int64_t first_keys = 0;  // how many; 0 is none
  bool mean_distance = false;
  bool received_sum = false;
  bool received_maximum = false;
  std::optional<PooledMap> pooled_map = {};
};

// Whether anything is asked for.
inline bool HasSummaries(const SummaryOptions& s) {
  return s.matrix.has_value() || s.top_keys > 0 || s.entropy || s.largest_weight || s.first_keys > 0 ||
         s.mean_distance || s.received_sum || s.received_maximum || s.pooled_map.has_value();
}

}  // namespace attnd::core
