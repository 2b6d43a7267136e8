#include "client/cpp/request_tensors.h"

namespace attnd {
namespace {

template <typename View, typename Request>
View* Find(Request& request, Input input) {
  auto& mask = request.mask;
  switch (input) {
    case Input::kQuery:
      return &request.query;
    case Input::kKey:
      return &request.key;
    case Input::kValue:
      return &request.value;
    case Input::kMask:
      return mask.boolean ? &*mask.boolean : nullptr;
    case Input::kBias:
      return request.bias ? &*request.bias : nullptr;
    case Input::kQuerySegmentIds:
      return mask.segments ? &mask.segments->query : nullptr;
    case Input::kKeySegmentIds:
      return mask.segments ? &mask.segments->key : nullptr;
    case Input::kBlockMask:
      return mask.blocks ? &mask.blocks->tensor : nullptr;
  }
  return nullptr;
}

}  // namespace

const std::array<InputTensor, 8>& InputTensors() {
  using Problem = v1::AttentionProblem;
  using Request = v1::AttendRequest;
  using Start = v1::StreamStart;
  static constexpr std::array<InputTensor, 8> kTensors = {{
      {Input::kQuery, "query", v1::TENSOR_NAME_QUERY, Request::kQueryDataFieldNumber,
       [](Problem& problem) { return problem.mutable_query(); }, &Start::set_query_size_bytes},
      {Input::kKey, "key", v1::TENSOR_NAME_KEY, Request::kKeyDataFieldNumber,
       [](Problem& problem) { return problem.mutable_tensors()->mutable_key(); }, &Start::set_key_size_bytes},
      {Input::kValue, "value", v1::TENSOR_NAME_VALUE, Request::kValueDataFieldNumber,
       [](Problem& problem) { return problem.mutable_tensors()->mutable_value(); }, &Start::set_value_size_bytes},
      {Input::kMask, "mask.boolean", v1::TENSOR_NAME_MASK, Request::kMaskDataFieldNumber,
       [](Problem& problem) { return problem.mutable_mask()->mutable_boolean()->mutable_tensor(); },
       &Start::set_mask_size_bytes},
      {Input::kBias, "bias", v1::TENSOR_NAME_BIAS, Request::kBiasDataFieldNumber,
       [](Problem& problem) { return problem.mutable_bias()->mutable_tensor(); }, &Start::set_bias_size_bytes},
      {Input::kQuerySegmentIds, "mask.segments.query", v1::TENSOR_NAME_QUERY_SEGMENT_IDS,
       Request::kQuerySegmentIdsDataFieldNumber,
       [](Problem& problem) { return problem.mutable_mask()->mutable_segments()->mutable_query(); },
       &Start::set_query_segment_ids_size_bytes},
      {Input::kKeySegmentIds, "mask.segments.key", v1::TENSOR_NAME_KEY_SEGMENT_IDS,
       Request::kKeySegmentIdsDataFieldNumber,
       [](Problem& problem) { return problem.mutable_mask()->mutable_segments()->mutable_key(); },
       &Start::set_key_segment_ids_size_bytes},
      {Input::kBlockMask, "mask.blocks", v1::TENSOR_NAME_BLOCK_MASK, Request::kBlockMaskDataFieldNumber,
       [](Problem& problem) { return problem.mutable_mask()->mutable_blocks()->mutable_tensor(); },
       &Start::set_block_mask_size_bytes},
  }};
  return kTensors;
}

TensorView* FindView(AttendRequest& request, Input input) { return Find<TensorView>(request, input); }

const TensorView* FindView(const AttendRequest& request, Input input) { return Find<const TensorView>(request, input); }

}  // namespace attnd
