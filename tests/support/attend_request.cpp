#include "tests/support/attend_request.h"

#include <string>
#include <vector>

#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

v1::ElementType ToProto(core::ElementType type) {
  switch (type) {
    case core::ElementType::kFloat32:
      return v1::ELEMENT_TYPE_FLOAT32;
    case core::ElementType::kBfloat16:
      return v1::ELEMENT_TYPE_BFLOAT16;
    case core::ElementType::kFloat16:
      return v1::ELEMENT_TYPE_FLOAT16;
    case core::ElementType::kInt32:
      return v1::ELEMENT_TYPE_INT32;
    case core::ElementType::kBool:
      return v1::ELEMENT_TYPE_BOOL;
  }
  return v1::ELEMENT_TYPE_UNSPECIFIED;
}

void Describe(const core::TensorDescription& tensor, v1::TensorDescription& result) {
  result.set_element_type(ToProto(tensor.element_type));
  result.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
}

v1::CausalMask::Alignment ToProto(core::Alignment alignment) {
  switch (alignment) {
    case core::Alignment::kUnspecified:
      return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
    case core::Alignment::kTopLeft:
      return v1::CausalMask::ALIGNMENT_TOP_LEFT;
    case core::Alignment::kBottomRight:
      return v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT;
  }
  return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
}

// Into a CausalMask or Positions.
template <typename Message>
void Describe(const core::PositionOptions& positions, Message& result) {
  if (positions.alignment.has_value()) result.set_alignment(ToProto(*positions.alignment));
  if (positions.offsets.has_value()) {
    result.mutable_offsets()->Assign(positions.offsets->begin(), positions.offsets->end());
  }
}

void Describe(const core::MaskOptions& mask, v1::Mask& result) {
  if (mask.causal.has_value()) {
    Describe(mask.causal->positions, *result.mutable_causal());
    const std::vector<std::int64_t>& prefix_lengths = mask.causal->prefix_lengths;
    result.mutable_causal()->mutable_prefix_lengths()->Assign(prefix_lengths.begin(), prefix_lengths.end());
  }
  if (mask.key_lengths.has_value()) {
    result.mutable_key_lengths()->mutable_lengths()->Assign(mask.key_lengths->begin(), mask.key_lengths->end());
  }
  if (mask.query_lengths.has_value()) {
    result.mutable_query_lengths()->mutable_lengths()->Assign(mask.query_lengths->begin(), mask.query_lengths->end());
  }
  if (mask.boolean.has_value()) Describe(*mask.boolean, *result.mutable_boolean()->mutable_tensor());
  if (mask.window.has_value()) {
    v1::SlidingWindow& window = *result.mutable_window();
    if (mask.window->left.has_value()) window.set_left(*mask.window->left);
    if (mask.window->right.has_value()) window.set_right(*mask.window->right);
  }
  if (mask.segments.has_value()) {
    Describe(mask.segments->query, *result.mutable_segments()->mutable_query());
    Describe(mask.segments->key, *result.mutable_segments()->mutable_key());
  }
  if (mask.blocks.has_value()) {
    result.mutable_blocks()->set_query_block_rows(mask.blocks->query_block_rows);
    result.mutable_blocks()->set_key_block_keys(mask.blocks->key_block_keys);
    Describe(mask.blocks->tensor, *result.mutable_blocks()->mutable_tensor());
  }
}

void Describe(const core::ModifierOptions& modifiers, v1::AttentionProblem& problem) {
  if (modifiers.bias.has_value()) Describe(*modifiers.bias, *problem.mutable_bias()->mutable_tensor());
  if (modifiers.alibi_slopes.has_value()) {
    problem.mutable_alibi()->mutable_slopes()->Assign(modifiers.alibi_slopes->begin(), modifiers.alibi_slopes->end());
  }
  if (modifiers.bias_place == core::BiasPlace::kBeforeSoftCap) problem.set_bias_place(v1::BIAS_PLACE_BEFORE_SOFT_CAP);
  if (modifiers.soft_cap.has_value()) problem.set_soft_cap(*modifiers.soft_cap);
  problem.mutable_sinks()->Assign(modifiers.sinks.begin(), modifiers.sinks.end());
}

// The interface's numbers are the core's and one more, for what is not said.
template <typename Proto, typename Core>
Proto OneMore(Core value) {
  return static_cast<Proto>(static_cast<int>(value) + 1);
}

void Describe(const core::SummaryOptions& summaries, v1::Summaries& result) {
  result.mutable_batch_entries()->Assign(summaries.batch_entries.begin(), summaries.batch_entries.end());
  result.mutable_heads()->Assign(summaries.heads.begin(), summaries.heads.end());
  result.mutable_query_rows()->Assign(summaries.query_rows.begin(), summaries.query_rows.end());
  result.set_head_reduction(static_cast<v1::HeadReduction>(summaries.head_reduction));
  if (summaries.matrix.has_value()) {
    result.mutable_matrix()->set_stage(OneMore<v1::MatrixStage>(summaries.matrix->stage));
    if (summaries.matrix->element_type.has_value()) {
      result.mutable_matrix()->set_element_type(ToProto(*summaries.matrix->element_type));
    }
  }
  result.set_top_keys(summaries.top_keys);
  result.set_entropy(summaries.entropy);
  result.set_largest_weight(summaries.largest_weight);
  result.set_first_keys(summaries.first_keys);
  result.set_mean_distance(summaries.mean_distance);
  result.set_received_sum(summaries.received_sum);
  result.set_received_maximum(summaries.received_maximum);
  if (summaries.pooled_map.has_value()) {
    v1::PooledMap& map = *result.mutable_pooled_map();
    map.set_rows(summaries.pooled_map->rows);
    map.set_columns(summaries.pooled_map->columns);
    map.set_pooling(OneMore<v1::PooledMap::Pooling>(summaries.pooled_map->pooling));
  }
}

template <typename Number>
std::string Bytes(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

std::string Elements(core::ElementType type, const std::vector<double>& numbers) {
  const std::vector<std::uint8_t> bytes = Encode(type, numbers);
  return {bytes.begin(), bytes.end()};
}

std::vector<double> Numbers(v1::ElementType type, const std::string& bytes) {
  core::ElementType core_type = core::ElementType::kFloat32;
  if (type == v1::ELEMENT_TYPE_BFLOAT16) core_type = core::ElementType::kBfloat16;
  if (type == v1::ELEMENT_TYPE_FLOAT16) core_type = core::ElementType::kFloat16;
  return Decode(core_type, reinterpret_cast<const std::uint8_t*>(bytes.data()),
                bytes.size() / core::ElementSizeBytes(core_type));
}

}  // namespace

v1::AttentionProblem ToProblem(const core::ProblemDescription& description) {
  v1::AttentionProblem problem;
  Describe(description.query, *problem.mutable_query());
  Describe(description.key, *problem.mutable_tensors()->mutable_key());
  Describe(description.value, *problem.mutable_tensors()->mutable_value());
  if (description.layout == core::Layout::kBshd) problem.set_layout(v1::LAYOUT_BSHD);
  if (description.scale.has_value()) problem.set_scale(*description.scale);
  Describe(description.mask, *problem.mutable_mask());
  if (description.positions.alignment.has_value() || description.positions.offsets.has_value()) {
    Describe(description.positions, *problem.mutable_positions());
  }
  if (description.ragged.has_value()) {
    const core::RaggedOptions& ragged = *description.ragged;
    v1::RaggedBatch& result = *problem.mutable_ragged();
    result.mutable_query_offsets()->Assign(ragged.query_offsets.begin(), ragged.query_offsets.end());
    result.mutable_key_offsets()->Assign(ragged.key_offsets.begin(), ragged.key_offsets.end());
  }
  Describe(description.modifiers, problem);
  if (description.empty_row == core::EmptyRow::kMeanOfAllValues)
    problem.set_empty_row(v1::EMPTY_ROW_MEAN_OF_ALL_VALUES);
  problem.set_return_weights(description.return_weights);
  problem.set_return_log_sum_exp(description.return_log_sum_exp);
  Describe(description.summaries, *problem.mutable_summaries());
  return problem;
}

v1::AttendRequest ToRequest(const AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  v1::AttendRequest request;
  *request.mutable_problem() = ToProblem(description);
  request.set_query_data(Elements(description.query.element_type, attention.query));
  request.set_key_data(Elements(description.key.element_type, attention.key));
  request.set_value_data(Elements(description.value.element_type, attention.value));
  request.set_mask_data(Bytes(attention.mask));
  if (description.modifiers.bias.has_value()) {
    request.set_bias_data(Elements(description.modifiers.bias->element_type, attention.bias));
  }
  request.set_query_segment_ids_data(Bytes(attention.query_segment_ids));
  request.set_key_segment_ids_data(Bytes(attention.key_segment_ids));
  request.set_block_mask_data(Bytes(attention.block_mask));
  return request;
}

Answer ToAnswer(const v1::AttendResponse& response) {
  Answer answer;
  answer.output = Numbers(response.result().output().element_type(), response.output_data());
  answer.weights = Numbers(v1::ELEMENT_TYPE_FLOAT32, response.weights_data());
  answer.log_sum_exp = Numbers(v1::ELEMENT_TYPE_FLOAT32, response.log_sum_exp_data());
  answer.empty_rows = response.result().report().empty_rows();
  return answer;
}

AttentionCase CaseWithEverything() {
  Random random(1);
  AttentionCase attention = MakeCase({.sizes = {.batch = 2,
                                                .query_heads = 4,
                                                .key_value_heads = 2,
                                                .query_rows = 5,
                                                .keys = 7,
                                                .head_size = 8,
                                                .value_head_size = 6},
                                      .layout = core::Layout::kBshd},
                                     random);
  attention.description.scale = 0.25;
  attention.description.mask.causal = Causal(core::Alignment::kBottomRight);
  attention.description.mask.key_lengths = {7, 4};
  attention.description.empty_row = core::EmptyRow::kMeanOfAllValues;
  AddBooleanMask(attention, {5, 7}, 0.8, random);
  return attention;
}

}  // namespace attnd::test
