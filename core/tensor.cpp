#include "core/tensor.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <cassert>

namespace attnd::core {

std::size_t ElementSizeBytes(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kBfloat16:
    case ElementType::kFloat16:
      return 2;
    case ElementType::kBool:
      return 1;
  }
  assert(false);
  return 0;
}

absl::string_view ElementTypeName(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kBfloat16:
      return "bfloat16";
    case ElementType::kFloat16:
      return "float16";
    case ElementType::kInt32:
      return "int32";
    case ElementType::kBool:
      return "bool";
  }
  assert(false);
  return "";
}

std::string ToString(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

absl::StatusOr<std::int64_t> SizeBytes(const TensorDescription& tensor, absl::string_view field) {
  auto size = static_cast<std::int64_t>(ElementSizeBytes(tensor.element_type));
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] < 1) {
      return absl::InvalidArgumentError(absl::StrCat(field, ".shape: dimension ", i, " is ", tensor.shape[i],
                                                     ", expected at least 1; the shape is ", ToString(tensor.shape)));
    }
    if (__builtin_mul_overflow(size, tensor.shape[i], &size)) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ".shape: ", ToString(tensor.shape), " takes more bytes than fit in 63 bits"));
    }
  }
  return size;
}

}  // namespace attnd::core
