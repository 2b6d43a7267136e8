#include "client/cli/array.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <cstring>
#include <limits>

#include "client/cpp/small_float.h"

namespace attnd::cli {
namespace {

template <typename T>
T Load(const Array& array, std::int64_t index) {
  T value;
  std::memcpy(&value, array.bytes.data() + static_cast<std::size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

double SmallFloatAsFloat64(ElementType type, const Array& array, std::int64_t index) {
  float number = 0;
  ToFloat32(type, array.bytes.data() + static_cast<std::size_t>(index) * ElementSizeBytes(type), 1, &number);
  return number;
}

}  // namespace

std::size_t DataTypeSizeBytes(DataType type) {
  switch (type) {
    case DataType::kInt64:
      return 8;
    case DataType::kFloat32:
    case DataType::kInt32:
      return 4;
    case DataType::kBfloat16:
    case DataType::kFloat16:
      return 2;
    case DataType::kBool:
    case DataType::kUint8:
      return 1;
  }
  return 1;
}

absl::string_view DataTypeName(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return "float32";
    case DataType::kBfloat16:
      return "bfloat16";
    case DataType::kFloat16:
      return "float16";
    case DataType::kInt64:
      return "int64";
    case DataType::kInt32:
      return "int32";
    case DataType::kBool:
      return "bool";
    case DataType::kUint8:
      return "uint8";
  }
  return "unknown";
}

absl::StatusOr<std::size_t> ArraySizeBytes(DataType type, const Shape& shape, absl::string_view name) {
  std::int64_t size = static_cast<std::int64_t>(DataTypeSizeBytes(type));
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(size, dimension, &size)) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, ": shape ", ToString(shape), " has a negative dimension or takes more bytes than fit in 63 bits"));
    }
  }
  return static_cast<std::size_t>(size);
}

double ElementAsFloat64(const Array& array, std::int64_t index) {
  switch (array.type) {
    case DataType::kFloat32:
      return Load<float>(array, index);
    case DataType::kBfloat16:
      return SmallFloatAsFloat64(ElementType::kBfloat16, array, index);
    case DataType::kFloat16:
      return SmallFloatAsFloat64(ElementType::kFloat16, array, index);
    case DataType::kInt64:
      return static_cast<double>(Load<std::int64_t>(array, index));
    case DataType::kInt32:
      return Load<std::int32_t>(array, index);
    case DataType::kBool:
      return Load<std::uint8_t>(array, index) != 0 ? 1 : 0;
    case DataType::kUint8:
      return Load<std::uint8_t>(array, index);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

absl::StatusOr<std::vector<std::int64_t>> ToIntegers(const Array& array, absl::string_view name) {
  if (array.type != DataType::kInt64 && array.type != DataType::kInt32) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": element type is ", DataTypeName(array.type), ", expected int64 or int32"));
  }
  std::vector<std::int64_t> integers(static_cast<std::size_t>(array.element_count()));
  for (std::size_t i = 0; i < integers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    integers[i] = array.type == DataType::kInt64 ? Load<std::int64_t>(array, index) : Load<std::int32_t>(array, index);
  }
  return integers;
}

absl::StatusOr<TensorView> ToTensorView(const Array& array, absl::string_view name) {
  TensorView view{.shape = array.shape, .data = array.bytes.data()};
  switch (array.type) {
    case DataType::kFloat32:
      view.element_type = ElementType::kFloat32;
      return view;
    case DataType::kBfloat16:
      view.element_type = ElementType::kBfloat16;
      return view;
    case DataType::kFloat16:
      view.element_type = ElementType::kFloat16;
      return view;
    case DataType::kInt32:
      view.element_type = ElementType::kInt32;
      return view;
    case DataType::kBool:
    case DataType::kUint8:
      view.element_type = ElementType::kBool;
      return view;
    case DataType::kInt64:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat(name, ": attention has no element type ", DataTypeName(array.type)));
}

Array ToArray(const Tensor& tensor) {
  Array array{.shape = tensor.shape(), .bytes = {tensor.data(), tensor.size_bytes()}};
  switch (tensor.element_type()) {
    case ElementType::kFloat32:
      array.type = DataType::kFloat32;
      break;
    case ElementType::kBfloat16:
      array.type = DataType::kBfloat16;
      break;
    case ElementType::kFloat16:
      array.type = DataType::kFloat16;
      break;
    case ElementType::kInt32:
      array.type = DataType::kInt32;
      break;
    case ElementType::kBool:
      array.type = DataType::kBool;
      break;
  }
  return array;
}

}  // namespace attnd::cli
