// The tensors of a result as a table, so that what is done to one of them is done to all in a loop.
#pragma once

#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "client/cpp/attention.h"

namespace attnd {

enum class Output : std::uint8_t {
  kOutput,
  kWeights,
  kLogSumExp,
  kMatrix,
  kTopKeys,
  kTopWeights,
  kEntropy,
  kLargestWeight,
  kFirstKeysWeight,
  kMeanDistance,
  kReceivedSum,
  kReceivedMaximum,
  kPooledMap,
};
inline constexpr std::size_t kOutputCount = 13;

// A T for each tensor.
template <typename T>
class PerOutput {
 public:
  T& operator[](Output output) { return values_[static_cast<std::size_t>(output)]; }
  const T& operator[](Output output) const { return values_[static_cast<std::size_t>(output)]; }

 private:
  std::array<T, kOutputCount> values_ = {};
};

// What attention.proto calls a tensor.
struct OutputTensor {
  Output output;
  absl::string_view name;  // the field of AttentionResult
  v1::TensorName tensor;
  int data_field_number;  // of AttendResponse
  // Null where there is no such tensor; never for the output.
  const v1::TensorDescription* (*description)(const v1::AttentionResult& result);
};

// In the order of the enumeration.
const std::array<OutputTensor, kOutputCount>& OutputTensors();

// Null where the result has none.
Tensor* Find(AttendResult& result, Output output);
const Tensor* Find(const AttendResult& result, Output output);

// Gives the result the tensor.
void Set(AttendResult& result, Output output, Tensor tensor);

}  // namespace attnd
