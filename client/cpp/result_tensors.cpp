#include "client/cpp/result_tensors.h"

#include <optional>
#include <utility>

namespace attnd {
namespace {

// Where a result holds a tensor that may be missing. Not for the output.
std::optional<Tensor> AttendResult::* MemberOf(Output output) {
  switch (output) {
    case Output::kOutput:
      break;
    case Output::kWeights:
      return &AttendResult::weights;
    case Output::kLogSumExp:
      return &AttendResult::log_sum_exp;
    case Output::kMatrix:
      return &AttendResult::matrix;
    case Output::kTopKeys:
      return &AttendResult::top_keys;
    case Output::kTopWeights:
      return &AttendResult::top_weights;
    case Output::kEntropy:
      return &AttendResult::entropy;
    case Output::kLargestWeight:
      return &AttendResult::largest_weight;
    case Output::kFirstKeysWeight:
      return &AttendResult::first_keys_weight;
    case Output::kMeanDistance:
      return &AttendResult::mean_distance;
    case Output::kReceivedSum:
      return &AttendResult::received_sum;
    case Output::kReceivedMaximum:
      return &AttendResult::received_maximum;
    case Output::kPooledMap:
      return &AttendResult::pooled_map;
  }
  return nullptr;
}

}  // namespace

const std::array<OutputTensor, kOutputCount>& OutputTensors() {
  using Result = v1::AttentionResult;
  using Response = v1::AttendResponse;
  static constexpr std::array<OutputTensor, kOutputCount> kTensors = {{
      {Output::kOutput, "output", v1::TENSOR_NAME_OUTPUT, Response::kOutputDataFieldNumber,
       [](const Result& result) { return &result.output(); }},
      {Output::kWeights, "weights", v1::TENSOR_NAME_WEIGHTS, Response::kWeightsDataFieldNumber,
       [](const Result& result) { return result.has_weights() ? &result.weights() : nullptr; }},
      {Output::kLogSumExp, "log_sum_exp", v1::TENSOR_NAME_LOG_SUM_EXP, Response::kLogSumExpDataFieldNumber,
       [](const Result& result) { return result.has_log_sum_exp() ? &result.log_sum_exp() : nullptr; }},
      {Output::kMatrix, "matrix", v1::TENSOR_NAME_MATRIX, Response::kMatrixDataFieldNumber,
       [](const Result& result) { return result.has_matrix() ? &result.matrix() : nullptr; }},
      {Output::kTopKeys, "top_keys", v1::TENSOR_NAME_TOP_KEYS, Response::kTopKeysDataFieldNumber,
       [](const Result& result) { return result.has_top_keys() ? &result.top_keys() : nullptr; }},
      {Output::kTopWeights, "top_weights", v1::TENSOR_NAME_TOP_WEIGHTS, Response::kTopWeightsDataFieldNumber,
       [](const Result& result) { return result.has_top_weights() ? &result.top_weights() : nullptr; }},
      {Output::kEntropy, "entropy", v1::TENSOR_NAME_ENTROPY, Response::kEntropyDataFieldNumber,
       [](const Result& result) { return result.has_entropy() ? &result.entropy() : nullptr; }},
      {Output::kLargestWeight, "largest_weight", v1::TENSOR_NAME_LARGEST_WEIGHT,
       Response::kLargestWeightDataFieldNumber,
       [](const Result& result) { return result.has_largest_weight() ? &result.largest_weight() : nullptr; }},
      {Output::kFirstKeysWeight, "first_keys_weight", v1::TENSOR_NAME_FIRST_KEYS_WEIGHT,
       Response::kFirstKeysWeightDataFieldNumber,
       [](const Result& result) { return result.has_first_keys_weight() ? &result.first_keys_weight() : nullptr; }},
      {Output::kMeanDistance, "mean_distance", v1::TENSOR_NAME_MEAN_DISTANCE, Response::kMeanDistanceDataFieldNumber,
       [](const Result& result) { return result.has_mean_distance() ? &result.mean_distance() : nullptr; }},
      {Output::kReceivedSum, "received_sum", v1::TENSOR_NAME_RECEIVED_SUM, Response::kReceivedSumDataFieldNumber,
       [](const Result& result) { return result.has_received_sum() ? &result.received_sum() : nullptr; }},
      {Output::kReceivedMaximum, "received_maximum", v1::TENSOR_NAME_RECEIVED_MAXIMUM,
       Response::kReceivedMaximumDataFieldNumber,
       [](const Result& result) { return result.has_received_maximum() ? &result.received_maximum() : nullptr; }},
      {Output::kPooledMap, "pooled_map", v1::TENSOR_NAME_POOLED_MAP, Response::kPooledMapDataFieldNumber,
       [](const Result& result) { return result.has_pooled_map() ? &result.pooled_map() : nullptr; }},
  }};
  return kTensors;
}

const Tensor* Find(const AttendResult& result, Output output) {
  if (output == Output::kOutput) return &result.output;
  const std::optional<Tensor>& tensor = result.*MemberOf(output);
  return tensor ? &*tensor : nullptr;
}

Tensor* Find(AttendResult& result, Output output) {
  return const_cast<Tensor*>(Find(static_cast<const AttendResult&>(result), output));
}

void Set(AttendResult& result, Output output, Tensor tensor) {
  if (output == Output::kOutput) {
    result.output = std::move(tensor);
  } else {
    result.*MemberOf(output) = std::move(tensor);
  }
}

std::vector<NamedTensor> TensorsOf(const AttendResult& result) {
  std::vector<NamedTensor> tensors;
  for (const OutputTensor& output : OutputTensors()) {
    if (const Tensor* tensor = Find(result, output.output)) tensors.push_back({output.name, tensor});
  }
  return tensors;
}

std::vector<absl::string_view> ResultTensorNames() {
  std::vector<absl::string_view> names;
  for (const OutputTensor& output : OutputTensors()) names.push_back(output.name);
  return names;
}

}  // namespace attnd
