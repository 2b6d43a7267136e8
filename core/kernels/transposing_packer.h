// A panel of keys: where the product takes plain matrices, or pairs of half elements, which are as wide as a float.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/products.h"
#include "core/kernels/transpose.h"

namespace attnd::core::kernels {

// [columns × inner] → [inner × columns], row-major both, of float32 elements or pairs of half ones.
class TransposingPacker final : public Packer {
 public:
  TransposingPacker(std::int64_t inner, std::int64_t columns) : inner_(inner), columns_(columns) {}

  void Run(const void* plain, std::int64_t row_size_bytes, void* packed) const override {
    Transpose(plain, columns_, inner_, row_size_bytes, packed);
  }

 private:
  const std::int64_t inner_;
  const std::int64_t columns_;
};

// The same of single half elements.
class HalfTransposingPacker final : public Packer {
 public:
  HalfTransposingPacker(std::int64_t inner, std::int64_t columns) : inner_(inner), columns_(columns) {}

  void Run(const void* plain, std::int64_t row_size_bytes, void* packed) const override {
    auto* to = static_cast<std::uint16_t*>(packed);
    for (std::int64_t j = 0; j < columns_; ++j) {
      const auto* from =
          reinterpret_cast<const std::uint16_t*>(static_cast<const std::byte*>(plain) + j * row_size_bytes);
      for (std::int64_t i = 0; i < inner_; ++i) to[i * columns_ + j] = from[i];
    }
  }

 private:
  const std::int64_t inner_;
  const std::int64_t columns_;
};

}  // namespace attnd::core::kernels
