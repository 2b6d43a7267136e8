// Descriptions of tensors as the interface and as the core know them.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>

#include "core/tensor.h"

namespace attnd::server::attnd_v1 {

// INVALID_ARGUMENT for what a message must hold and does not.
absl::Status NotGiven(absl::string_view field, absl::string_view expected);

// `field` is how the tensor is spelled in the refusal of one that is not there or has no element type.
absl::Status FromProto(bool is_given, const v1::TensorDescription& tensor, absl::string_view field,
                       core::TensorDescription& result);

v1::TensorDescription ToProto(const core::TensorDescription& tensor);

}  // namespace attnd::server::attnd_v1
