#include "client/cpp/problem_message.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace attnd {
namespace {

v1::CausalMask::Alignment ToProto(CausalAlignment alignment) {
  switch (alignment) {
    case CausalAlignment::kUnspecified:
      return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
    case CausalAlignment::kTopLeft:
      return v1::CausalMask::ALIGNMENT_TOP_LEFT;
    case CausalAlignment::kBottomRight:
      return v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT;
  }
  return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
}

v1::HeadReduction ToProto(HeadReduction reduction) {
  switch (reduction) {
    case HeadReduction::kNone:
      return v1::HEAD_REDUCTION_UNSPECIFIED;
    case HeadReduction::kMean:
      return v1::HEAD_REDUCTION_MEAN;
    case HeadReduction::kSum:
      return v1::HEAD_REDUCTION_SUM;
  }
  return v1::HEAD_REDUCTION_UNSPECIFIED;
}

v1::MatrixStage ToProto(MatrixStage stage) {
  switch (stage) {
    case MatrixStage::kScaled:
      return v1::MATRIX_STAGE_SCALED;
    case MatrixStage::kSoftCapped:
      return v1::MATRIX_STAGE_SOFT_CAPPED;
    case MatrixStage::kMasked:
      return v1::MATRIX_STAGE_MASKED;
    case MatrixStage::kWeights:
      return v1::MATRIX_STAGE_WEIGHTS;
  }
  return v1::MATRIX_STAGE_UNSPECIFIED;
}

template <typename Numbers, typename Field>
void Copy(const Numbers& numbers, Field* field) {
  field->Add(numbers.begin(), numbers.end());
}

bool IsCausal(const MaskOptions& mask) { return mask.causal || mask.causal_offsets || mask.causal_prefix_lengths; }

void DescribeCausal(const MaskOptions& options, v1::CausalMask& causal) {
  if (options.causal) causal.set_alignment(ToProto(*options.causal));
  if (options.causal_offsets) Copy(*options.causal_offsets, causal.mutable_offsets());
  if (options.causal_prefix_lengths) Copy(*options.causal_prefix_lengths, causal.mutable_prefix_lengths());
}

// All but the tensors. A mask that is there though nothing is set in it is not the same as none.
void DescribeMask(const MaskOptions& options, v1::AttentionProblem& problem) {
  if (IsCausal(options)) DescribeCausal(options, *problem.mutable_mask()->mutable_causal());
  if (options.key_lengths) {
    Copy(*options.key_lengths, problem.mutable_mask()->mutable_key_lengths()->mutable_lengths());
  }
  if (options.query_lengths) {
    Copy(*options.query_lengths, problem.mutable_mask()->mutable_query_lengths()->mutable_lengths());
  }
  if (options.window) {
    v1::SlidingWindow& window = *problem.mutable_mask()->mutable_window();
    if (options.window->left) window.set_left(*options.window->left);
    if (options.window->right) window.set_right(*options.window->right);
  }
  if (options.blocks) {
    v1::BlockMask& blocks = *problem.mutable_mask()->mutable_blocks();
    blocks.set_query_block_rows(options.blocks->query_block_rows);
    blocks.set_key_block_keys(options.blocks->key_block_keys);
  }
}

void DescribePlaces(const AttendRequest& request, v1::AttentionProblem& problem) {
  if (request.positions) {
    v1::Positions& positions = *problem.mutable_positions();
    positions.set_alignment(ToProto(request.positions->alignment));
    if (request.positions->offsets) Copy(*request.positions->offsets, positions.mutable_offsets());
  }
  if (request.ragged) {
    Copy(request.ragged->query_offsets, problem.mutable_ragged()->mutable_query_offsets());
    Copy(request.ragged->key_offsets, problem.mutable_ragged()->mutable_key_offsets());
  }
}

void DescribeModifiers(const AttendRequest& request, v1::AttentionProblem& problem) {
  if (request.alibi_slopes) Copy(*request.alibi_slopes, problem.mutable_alibi()->mutable_slopes());
  if (request.bias_place == BiasPlace::kBeforeSoftCap) problem.set_bias_place(v1::BIAS_PLACE_BEFORE_SOFT_CAP);
  if (request.soft_cap) problem.set_soft_cap(*request.soft_cap);
  if (request.sinks) Copy(*request.sinks, problem.mutable_sinks());
}

void DescribeSummaries(const Summaries& options, v1::Summaries& summaries) {
  Copy(options.batch_entries, summaries.mutable_batch_entries());
  Copy(options.heads, summaries.mutable_heads());
  Copy(options.query_rows, summaries.mutable_query_rows());
  summaries.set_head_reduction(ToProto(options.head_reduction));
  if (options.matrix) {
    summaries.mutable_matrix()->set_stage(ToProto(options.matrix->stage));
    if (options.matrix->element_type) {
      summaries.mutable_matrix()->set_element_type(ToProto(*options.matrix->element_type));
    }
  }
  summaries.set_top_keys(options.top_keys);
  summaries.set_entropy(options.entropy);
  summaries.set_largest_weight(options.largest_weight);
  summaries.set_first_keys(options.first_keys);
  summaries.set_mean_distance(options.mean_distance);
  summaries.set_received_sum(options.received_sum);
  summaries.set_received_maximum(options.received_maximum);
  if (options.pooled_map) {
    v1::PooledMap& map = *summaries.mutable_pooled_map();
    map.set_rows(options.pooled_map->rows);
    map.set_columns(options.pooled_map->columns);
    map.set_pooling(options.pooled_map->pooling == Pooling::kMaximum ? v1::PooledMap::POOLING_MAXIMUM
                                                                     : v1::PooledMap::POOLING_MEAN);
  }
}

// On the wire a list without numbers is none at all.
template <typename T>
absl::Status CheckList(const std::optional<std::vector<T>>& list, absl::string_view name, absl::string_view expected) {
  if (!list || !list->empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, ": there are none, expected one a ", expected));
}

}  // namespace

absl::Status CheckSayable(const AttendRequest& request) {
  const MaskOptions& mask = request.mask;
  absl::Status status = CheckList(mask.causal_offsets, "mask.causal.offsets", "batch entry");
  if (status.ok()) status = CheckList(mask.causal_prefix_lengths, "mask.causal.prefix_lengths", "batch entry");
  if (status.ok() && request.positions) {
    status = CheckList(request.positions->offsets, "positions.offsets", "batch entry");
  }
  if (status.ok()) status = CheckList(request.sinks, "sinks", "query head");
  return status;
}

v1::AttentionProblem DescribeOptions(const AttendRequest& request) {
  v1::AttentionProblem problem;
  // A ragged batch has a layout of its own.
  if (request.layout == Layout::kBshd) {
    problem.set_layout(v1::LAYOUT_BSHD);
  } else if (!request.ragged) {
    problem.set_layout(v1::LAYOUT_BHSD);
  }
  if (request.scale) problem.set_scale(*request.scale);
  DescribeMask(request.mask, problem);
  problem.set_empty_row(request.empty_row == EmptyRow::kMeanOfAllValues ? v1::EMPTY_ROW_MEAN_OF_ALL_VALUES
                                                                        : v1::EMPTY_ROW_ZERO);
  problem.set_return_weights(request.return_weights);
  problem.set_return_log_sum_exp(request.return_log_sum_exp);
  DescribePlaces(request, problem);
  DescribeModifiers(request, problem);
  if (request.summaries != Summaries{}) DescribeSummaries(request.summaries, *problem.mutable_summaries());
  return problem;
}

v1::ElementType ToProto(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return v1::ELEMENT_TYPE_FLOAT32;
    case ElementType::kBfloat16:
      return v1::ELEMENT_TYPE_BFLOAT16;
    case ElementType::kFloat16:
      return v1::ELEMENT_TYPE_FLOAT16;
    case ElementType::kInt32:
      return v1::ELEMENT_TYPE_INT32;
    case ElementType::kBool:
      return v1::ELEMENT_TYPE_BOOL;
  }
  return v1::ELEMENT_TYPE_UNSPECIFIED;
}

}  // namespace attnd
