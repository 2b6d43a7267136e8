#include "core/kernels/kernel_list.h"

namespace attnd::core::kernels {

std::shared_ptr<Products> ChooseProducts(ElementType type) {
  if (std::shared_ptr<Products> products = MakeBrgemmProducts(type)) return products;
  if (std::shared_ptr<Products> products = MakeBrgemmProducts(ElementType::kFloat32)) return products;
  return MakeMatmulProducts();
}

}  // namespace attnd::core::kernels
