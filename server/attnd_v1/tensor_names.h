// Where attention.proto has the tensors that the core knows: it numbers their fields and names in the core's order.
#pragma once

#include <attnd/v1/attention.pb.h>

#include <optional>

#include "core/tensors.h"

namespace attnd::server::attnd_v1 {

// The number of the `…_data` field of AttendRequest and AttendResponse.
constexpr int DataFieldNumber(core::Input input) {
  return v1::AttendRequest::kQueryDataFieldNumber + static_cast<int>(input);
}
constexpr int DataFieldNumber(core::Output output) {
  return v1::AttendResponse::kOutputDataFieldNumber + static_cast<int>(output);
}

constexpr v1::TensorName ToProto(core::Input input) {
  return static_cast<v1::TensorName>(v1::TENSOR_NAME_QUERY + static_cast<int>(input));
}
constexpr v1::TensorName ToProto(core::Output output) {
  return static_cast<v1::TensorName>(v1::TENSOR_NAME_OUTPUT + static_cast<int>(output));
}

// The last ones; a test has those between.
static_assert(DataFieldNumber(core::Input::kBlockMask) == v1::AttendRequest::kBlockMaskDataFieldNumber);
static_assert(DataFieldNumber(core::Output::kPooledMap) == v1::AttendResponse::kPooledMapDataFieldNumber);
static_assert(ToProto(core::Input::kBlockMask) == v1::TENSOR_NAME_BLOCK_MASK);
static_assert(ToProto(core::Output::kPooledMap) == v1::TENSOR_NAME_POOLED_MAP);
static_assert(core::kInputs.back() == core::Input::kBlockMask && core::kOutputs.back() == core::Output::kPooledMap);

// The tensor of a request whose elements a field of AttendRequest holds; without a value for every other field.
constexpr std::optional<core::Input> InputOfField(int field_number) {
  const int index = field_number - v1::AttendRequest::kQueryDataFieldNumber;
  if (index < 0 || index >= static_cast<int>(core::kInputCount)) return std::nullopt;
  return static_cast<core::Input>(index);
}

// Without a value where the name is not that of a tensor of a request.
constexpr std::optional<core::Input> FromProto(v1::TensorName name) {
  const int index = name - v1::TENSOR_NAME_QUERY;
  if (index < 0 || index >= static_cast<int>(core::kInputCount)) return std::nullopt;
  return static_cast<core::Input>(index);
}

}  // namespace attnd::server::attnd_v1
