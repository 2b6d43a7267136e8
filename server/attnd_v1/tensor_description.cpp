#include "server/attnd_v1/tensor_description.h"

#include <absl/strings/str_cat.h>

#include <optional>

#include "server/attnd_v1/element_type.h"

namespace attnd::server::attnd_v1 {

absl::Status NotGiven(absl::string_view field, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": not given, ", expected, " expected"));
}

absl::Status FromProto(bool is_given, const v1::TensorDescription& tensor, absl::string_view field,
                       core::TensorDescription& result) {
  if (!is_given) return NotGiven(field, "a TensorDescription");
  const std::optional<core::ElementType> type = FromProto(tensor.element_type());
  if (!type.has_value()) return NotGiven(absl::StrCat(field, ".element_type"), "an ElementType");
  result.element_type = *type;
  result.shape.assign(tensor.shape().begin(), tensor.shape().end());
  return absl::OkStatus();
}

v1::TensorDescription ToProto(const core::TensorDescription& tensor) {
  v1::TensorDescription result;
  result.set_element_type(ToProto(tensor.element_type));
  result.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
  return result;
}

}  // namespace attnd::server::attnd_v1
