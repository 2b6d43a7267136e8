// A panel of keys where the product takes plain matrices.
#pragma once

#include <cstdint>

#include "core/kernels/products.h"

namespace attnd::core::kernels {

// [columns × inner] → [inner × columns], row-major both. Element is any type of the operand's size.
template <typename Element>
class TransposingPacker final : public Packer {
 public:
  TransposingPacker(std::int64_t inner, std::int64_t columns) : inner_(inner), columns_(columns) {}

  void Run(const void* plain, void* packed) const override {
    const auto* from = static_cast<const Element*>(plain);
    auto* to = static_cast<Element*>(packed);
    for (std::int64_t i = 0; i < inner_; ++i) {
      for (std::int64_t j = 0; j < columns_; ++j) to[i * columns_ + j] = from[j * inner_ + i];
    }
  }

 private:
  const std::int64_t inner_;
  const std::int64_t columns_;
};

}  // namespace attnd::core::kernels
