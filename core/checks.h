// What all checks of descriptions share. The texts name the field, what was found and what was expected.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <cstdint>

#include "core/tensor.h"

namespace attnd::core {

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// Whether the elements are of a type that attention is computed in: float32, bfloat16 or float16.
absl::Status CheckIsComputable(const TensorDescription& tensor, absl::string_view field);

// Whether as many bytes came for a tensor as its description says.
absl::Status CheckSize(const TensorDescription& tensor, absl::string_view field, absl::string_view data_field,
                       std::int64_t found_size_bytes);

}  // namespace attnd::core
