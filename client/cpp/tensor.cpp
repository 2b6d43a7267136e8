#include "client/cpp/tensor.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <bit>
#include <new>
#include <utility>

namespace attnd {
namespace {

static_assert(std::endian::native == std::endian::little,
              "elements travel as they lie in memory, which is little-endian");

// A cache line, and the widest vector register.
constexpr std::align_val_t kAlignment{64};

}  // namespace

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
  return "unknown";
}

std::string ToString(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

absl::StatusOr<std::size_t> SizeBytes(ElementType type, const Shape& shape, absl::string_view name) {
  std::int64_t size = static_cast<std::int64_t>(ElementSizeBytes(type));
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": shape is ", ToString(shape), ", expected no dimension below 0"));
    }
    if (__builtin_mul_overflow(size, dimension, &size)) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": shape is ", ToString(shape), ", expected at most 2^63 - 1 bytes"));
    }
  }
  return static_cast<std::size_t>(size);
}

absl::StatusOr<Tensor> Tensor::Create(ElementType type, Shape shape, absl::string_view name) {
  const auto size_bytes = SizeBytes(type, shape, name);
  if (!size_bytes.ok()) return size_bytes.status();
  Tensor tensor;
  tensor.data_.reset(static_cast<std::byte*>(::operator new(*size_bytes, kAlignment, std::nothrow)));
  if (tensor.data_ == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat(name, ": no memory for ", *size_bytes, " bytes"));
  }
  tensor.element_type_ = type;
  tensor.shape_ = std::move(shape);
  tensor.size_bytes_ = *size_bytes;
  return tensor;
}

absl::StatusOr<Tensor> Tensor::Reinterpret(Tensor tensor, ElementType type, Shape shape, absl::string_view name) {
  const auto size_bytes = SizeBytes(type, shape, name);
  if (!size_bytes.ok()) return size_bytes.status();
  if (*size_bytes != tensor.size_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": has ", tensor.size_bytes_, " bytes, expected ", *size_bytes,
                                                   " for ", ElementTypeName(type), " ", ToString(shape)));
  }
  tensor.element_type_ = type;
  tensor.shape_ = std::move(shape);
  return tensor;
}

void Tensor::Free::operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }

}  // namespace attnd
