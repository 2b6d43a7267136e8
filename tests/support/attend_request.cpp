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

v1::CausalMask::Alignment ToProto(core::CausalAlignment alignment) {
  switch (alignment) {
    case core::CausalAlignment::kUnspecified:
      return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
    case core::CausalAlignment::kTopLeft:
      return v1::CausalMask::ALIGNMENT_TOP_LEFT;
    case core::CausalAlignment::kBottomRight:
      return v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT;
  }
  return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
}

void Describe(const core::MaskOptions& mask, v1::Mask& result) {
  if (mask.causal.has_value()) result.mutable_causal()->set_alignment(ToProto(*mask.causal));
  if (mask.causal_offsets.has_value()) {
    result.mutable_causal()->mutable_offsets()->Assign(mask.causal_offsets->begin(), mask.causal_offsets->end());
  }
  if (mask.key_lengths.has_value()) {
    result.mutable_key_lengths()->mutable_lengths()->Assign(mask.key_lengths->begin(), mask.key_lengths->end());
  }
  if (mask.boolean.has_value()) Describe(*mask.boolean, *result.mutable_boolean()->mutable_tensor());
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

v1::AttendRequest ToRequest(const AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  v1::AttendRequest request;
  v1::AttentionProblem& problem = *request.mutable_problem();
  Describe(description.query, *problem.mutable_query());
  Describe(description.key, *problem.mutable_tensors()->mutable_key());
  Describe(description.value, *problem.mutable_tensors()->mutable_value());
  if (description.layout == core::Layout::kBshd) problem.set_layout(v1::LAYOUT_BSHD);
  if (description.scale.has_value()) problem.set_scale(*description.scale);
  Describe(description.mask, *problem.mutable_mask());
  if (description.empty_row == core::EmptyRow::kMeanOfAllValues)
    problem.set_empty_row(v1::EMPTY_ROW_MEAN_OF_ALL_VALUES);
  problem.set_return_weights(description.return_weights);
  problem.set_return_log_sum_exp(description.return_log_sum_exp);
  request.set_query_data(Elements(description.query.element_type, attention.query));
  request.set_key_data(Elements(description.key.element_type, attention.key));
  request.set_value_data(Elements(description.value.element_type, attention.value));
  request.set_mask_data(std::string(attention.mask.begin(), attention.mask.end()));
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
  attention.description.mask.causal = core::CausalAlignment::kBottomRight;
  attention.description.mask.key_lengths = {7, 4};
  attention.description.empty_row = core::EmptyRow::kMeanOfAllValues;
  AddBooleanMask(attention, {5, 7}, 0.8, random);
  return attention;
}

}  // namespace attnd::test
