// A tensor in memory as files hold it: more types than attention computes with.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "client/cpp/tensor.h"

namespace attnd::cli {

enum class DataType : std::uint8_t { kFloat32, kBfloat16, kFloat16, kInt64, kInt32, kBool, kUint8 };

std::size_t DataTypeSizeBytes(DataType type);

// "float32", "bfloat16", "float16", "int64", "int32", "bool" or "uint8".
absl::string_view DataTypeName(DataType type);

// Borrows its bytes, which are dense, row-major, little-endian, and may have any alignment.
struct Array {
  DataType type = DataType::kFloat32;
  Shape shape;
  std::span<const std::byte> bytes;

  std::int64_t element_count() const { return static_cast<std::int64_t>(bytes.size() / DataTypeSizeBytes(type)); }
};

// INVALID_ARGUMENT, with `name` in its text, where a dimension is negative or the product does not fit 63 bits.
absl::StatusOr<std::size_t> ArraySizeBytes(DataType type, const Shape& shape, absl::string_view name);

// Element `index` in row-major order; int64 values beyond 2^53 are rounded.
double ElementAsFloat64(const Array& array, std::int64_t index);

// The elements of an int64 or int32 array. INVALID_ARGUMENT for other types.
absl::StatusOr<std::vector<std::int64_t>> ToIntegers(const Array& array, absl::string_view name);

// As attention takes it: floats as they are, int32, and bool or uint8 as bool. INVALID_ARGUMENT for int64.
absl::StatusOr<TensorView> ToTensorView(const Array& array, absl::string_view name);

// Good while the tensor lives.
Array ToArray(const Tensor& tensor);

}  // namespace attnd::cli
