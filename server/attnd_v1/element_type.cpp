#include "server/attnd_v1/element_type.h"

namespace attnd::server::attnd_v1 {

v1::ElementType ToProto(core::ElementType type) {
  switch (type) {
    case core::ElementType::kFloat32:
      return v1::ELEMENT_TYPE_FLOAT32;
    case core::ElementType::kBfloat16:
      return v1::ELEMENT_TYPE_BFLOAT16;
    case core::ElementType::kFloat16:
      return v1::ELEMENT_TYPE_FLOAT16;
    case core::ElementType::kInt32:
      return v1::ELEMENT_TYPE_INT32;
    case core::ElementType::kBool:
      return v1::ELEMENT_TYPE_BOOL;
  }
  return v1::ELEMENT_TYPE_UNSPECIFIED;
}

std::optional<core::ElementType> FromProto(v1::ElementType type) {
  switch (type) {
    case v1::ELEMENT_TYPE_FLOAT32:
      return core::ElementType::kFloat32;
    case v1::ELEMENT_TYPE_BFLOAT16:
      return core::ElementType::kBfloat16;
    case v1::ELEMENT_TYPE_FLOAT16:
      return core::ElementType::kFloat16;
    case v1::ELEMENT_TYPE_INT32:
      return core::ElementType::kInt32;
    case v1::ELEMENT_TYPE_BOOL:
      return core::ElementType::kBool;
    default:
      return std::nullopt;
  }
}

}  // namespace attnd::server::attnd_v1
