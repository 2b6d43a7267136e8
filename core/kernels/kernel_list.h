// Which implementations of the products there are, fastest first, the one that always works last.
#pragma once

#include <memory>

#include "core/kernels/products.h"

namespace attnd::core::kernels {

// The fastest products for tensors of this type on this machine. Their operand type is either that type or float32, to
// which tiles are then converted.
std::shared_ptr<Products> ChooseProducts(ElementType type);

// The implementations, each null where the machine or oneDNN has none for the operand type.
std::shared_ptr<Products> MakeBrgemmProducts(ElementType operand_type);
std::shared_ptr<Products> MakeMatmulProducts();

}  // namespace attnd::core::kernels
