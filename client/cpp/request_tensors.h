// The tensors of a request as a table, so that what is done to one of them is done to all in a loop.
#pragma once

#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>

#include <array>
#include <cstdint>

#include "client/cpp/attention.h"

namespace attnd {

enum class Input : std::uint8_t {
  kQuery,
  kKey,
  kValue,
  kMask,
  kBias,
  kQuerySegmentIds,
  kKeySegmentIds,
  kBlockMask,
};

// What attention.proto calls a tensor.
struct InputTensor {
  Input input;
  absl::string_view name;  // for errors, below AttentionProblem
  v1::TensorName tensor;
  int data_field_number;  // of AttendRequest
  v1::TensorDescription* (*description)(v1::AttentionProblem& problem);
  void (v1::StreamStart::*set_size_bytes)(std::int64_t size_bytes);
};

// In the order of the enumeration, which is that of the wire.
const std::array<InputTensor, 8>& InputTensors();

// Null where the request has none.
TensorView* FindView(AttendRequest& request, Input input);
const TensorView* FindView(const AttendRequest& request, Input input);

}  // namespace attnd
