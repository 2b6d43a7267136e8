#include "core/checks.h"

#include <absl/status/statusor.h>

namespace attnd::core {

absl::Status CheckIsComputable(const TensorDescription& tensor, absl::string_view field) {
  switch (tensor.element_type) {
    case ElementType::kFloat32:
    case ElementType::kBfloat16:
    case ElementType::kFloat16:
      return absl::OkStatus();
    case ElementType::kInt32:
    case ElementType::kBool:
      break;
  }
  return Invalid(field, ".element_type: ", ElementTypeName(tensor.element_type),
                 " found, float32, bfloat16 or float16 expected");
}

absl::Status CheckSize(const TensorDescription& tensor, absl::string_view field, absl::string_view data_field,
                       std::int64_t found_size_bytes) {
  const absl::StatusOr<std::int64_t> size_bytes = SizeBytes(tensor, field);
  if (!size_bytes.ok()) return size_bytes.status();
  if (found_size_bytes != *size_bytes) {
    return Invalid(data_field, ": ", found_size_bytes, " bytes found, ", *size_bytes, " expected for ", field, " of ",
                   ElementTypeName(tensor.element_type), " ", ToString(tensor.shape));
  }
  return absl::OkStatus();
}

}  // namespace attnd::core
