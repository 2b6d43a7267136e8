// Merges partial results of disjoint ranges of keys into the result over all of them.
//
// With L = log Σ_n exp(l_n) over the parts' natural log-sum-exps l_n, the output is Σ_n exp(l_n − L)·o_n and the
// log-sum-exp L. An empty part is (0, −∞): it changes nothing and its output is not read; merging only empty parts
// gives an empty one. Where a log-sum-exp is NaN or +∞ the row's result is NaN; NaN and infinities in an output that
// counts propagate.
//
// Everything is summed in float64: beyond what the parts themselves are off, an output is off by one rounding to
// float32 and one to the element type, a log-sum-exp by one rounding to float32.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>

#include "core/limits.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace attnd::core {

// As a caller gives it. Field by field the MergePartialsRequest of proto/attnd/v1/attention.proto.
struct MergeDescription {
  TensorDescription output;       // [N, …, Dv]
  TensorDescription log_sum_exp;  // [N, …], float32

  // The bytes that came for each.
  std::int64_t output_size_bytes = 0;
  std::int64_t log_sum_exp_size_bytes = 0;
};

// One that holds together. Only CheckMerge makes one.
struct Merge {
  ElementType element_type = ElementType::kFloat32;
  std::int64_t parts = 0;
  std::int64_t rows = 0;  // of each part
  std::int64_t value_head_size = 0;

  // The parts' without the first dimension.
  AnswerTensor output;
  AnswerTensor log_sum_exp;
};

// INVALID_ARGUMENT and RESOURCE_EXHAUSTED as core::CheckProblem.
absl::StatusOr<Merge> CheckMerge(const MergeDescription& description, const Limits& limits);

// Where its tensors lie; dense, aligned to their elements.
struct MergeTensors {
  const void* output = nullptr;
  const float* log_sum_exp = nullptr;

  void* merged_output = nullptr;
  float* merged_log_sum_exp = nullptr;
};

// Merges the rows [first_row, end_row). Thread-safe; rows do not depend on each other.
void MergeRows(const Merge& merge, const MergeTensors& tensors, std::int64_t first_row, std::int64_t end_row);

}  // namespace attnd::core
