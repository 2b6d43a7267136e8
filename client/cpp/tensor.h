// Tensors as the client takes them (views) and gives them (owners of their bytes).
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace attnd {

// The type of a tensor's elements. Elements are little-endian, as on every machine that this client runs on.
enum class ElementType : std::uint8_t {
  kFloat32,   // IEEE 754 binary32
  kBfloat16,  // the upper half of a binary32, 2 bytes
  kFloat16,   // IEEE 754 binary16, 2 bytes
  kInt32,
  kBool,  // one byte: 0 is false, any other value is true
};

std::size_t ElementSizeBytes(ElementType type);

// "float32", "bfloat16", "float16", "int32" or "bool".
absl::string_view ElementTypeName(ElementType type);

// The size of each dimension, outermost first.
using Shape = std::vector<std::int64_t>;

// As "[3, 12, 15, 32]".
std::string ToString(const Shape& shape);

// A dense row-major tensor in memory that somebody else owns and keeps unchanged while the view is used. `data` may
// have any alignment.
struct TensorView {
  ElementType element_type = ElementType::kFloat32;
  Shape shape;
  const void* data = nullptr;
};

// The bytes of a dense tensor. INVALID_ARGUMENT, with `name` in its text, where a dimension is negative or the product
// does not fit 63 bits.
absl::StatusOr<std::size_t> SizeBytes(ElementType type, const Shape& shape, absl::string_view name);

// A dense row-major tensor that owns its elements, which begin at a multiple of 64 bytes.
class Tensor {
 public:
  // Empty: no bytes, shape [0].
  Tensor() = default;
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;

  // Elements are uninitialised. INVALID_ARGUMENT as SizeBytes; RESOURCE_EXHAUSTED where memory could not be had.
  static absl::StatusOr<Tensor> Create(ElementType type, Shape shape, absl::string_view name);

  // The same bytes as another type and shape. INVALID_ARGUMENT where those need another number of bytes.
  static absl::StatusOr<Tensor> Reinterpret(Tensor tensor, ElementType type, Shape shape, absl::string_view name);

  ElementType element_type() const { return element_type_; }
  const Shape& shape() const { return shape_; }
  std::size_t size_bytes() const { return size_bytes_; }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  // Good while this tensor lives and is not moved from.
  TensorView view() const { return {element_type_, shape_, data_.get()}; }

  // The elements as the type that they have: float for float32, std::uint16_t for the 16-bit ones …
  template <typename T>
  const T* elements() const {
    return reinterpret_cast<const T*>(data_.get());
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const;
  };

  ElementType element_type_ = ElementType::kFloat32;
  Shape shape_ = {0};
  std::size_t size_bytes_ = 0;
  std::unique_ptr<std::byte[], Free> data_;
};

}  // namespace attnd
