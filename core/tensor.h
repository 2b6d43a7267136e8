// What a tensor is, without its elements. Pure values; every function here is thread-safe.
#pragma once

#include <absl/container/inlined_vector.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace attnd::core {

enum class ElementType : std::uint8_t { kFloat32, kBfloat16, kFloat16, kInt32, kBool };

std::size_t ElementSizeBytes(ElementType type);

// "float32", "bfloat16", "float16", "int32" or "bool".
absl::string_view ElementTypeName(ElementType type);

// The size of each dimension, outermost first.
using Shape = absl::InlinedVector<std::int64_t, 4>;

// As "[3, 12, 15, 32]".
std::string ToString(const Shape& shape);

struct TensorDescription {
  ElementType element_type = ElementType::kFloat32;
  Shape shape;
};

// The bytes of a dense tensor. INVALID_ARGUMENT, with `field` in its text, where a dimension is below 1 or the product
// does not fit 63 bits.
absl::StatusOr<std::int64_t> SizeBytes(const TensorDescription& tensor, absl::string_view field);

}  // namespace attnd::core
