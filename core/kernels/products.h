// The two matrix products of attention, Q·Kᵀ and P·V, on packed tiles: plain pointers, sizes and strides.
//
// A packed operand B is cut into panels of kPanelColumns columns (the last one narrower); each panel is contiguous, in
// whatever order the implementation wants, which keeps its rows apart. Every size that a product is made for comes from
// a closed set: rows from row_classes(), columns and inner dimensions padded with zeros to multiples of size_step().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/kernels/value_packing.h"
#include "core/tensor.h"

namespace attnd::core::kernels {

// oneDNN packs panels of at most 64 columns for matrix units (dnnl::ukernel::transform).
inline constexpr std::int64_t kPanelColumns = 64;
// What all sizes are padded to multiples of, at least: the narrowest panel that oneDNN takes with matrix units.
inline constexpr std::int64_t kPaddedElements = 16;

inline std::int64_t PaddedSize(std::int64_t size, std::int64_t step) { return (size + step - 1) / step * step; }

// C[rows × columns] = A[rows × inner]·B[inner × columns], or += where it accumulates. C is float32.
struct ProductShape {
  std::int64_t rows = 0;
  std::int64_t columns = 0;  // at most kPanelColumns
  std::int64_t inner = 0;
  std::int64_t a_stride = 0;       // elements from a row of A to the next
  std::int64_t panel_columns = 0;  // of a panel of B, of which the first `columns` are taken
  std::int64_t c_stride = 0;
  bool accumulate = false;

  bool operator==(const ProductShape&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const ProductShape& s) {
    return H::combine(std::move(state), s.rows, s.columns, s.inner, s.a_stride, s.panel_columns, s.c_stride,
                      s.accumulate);
  }
};

// Thread-safe.
class Product {
 public:
  virtual ~Product() = default;
  // The product with `panels` panels of B, which begin `panel_size_bytes` after each other and give the next `columns`
  // columns of C each.
  virtual void Run(const void* a, const void* b, std::int64_t panel_size_bytes, std::int64_t panels,
                   float* c) const = 0;
};

// Thread-safe.
class Packer {
 public:
  virtual ~Packer() = default;
  // Packs one panel from a plain matrix whose rows begin `row_size_bytes` after each other.
  virtual void Run(const void* plain, std::int64_t row_size_bytes, void* packed) const = 0;
};

// One implementation of the products, for one operand type. Thread-safe.
class Products {
 public:
  virtual ~Products() = default;

  // For example "brgemm-float32".
  virtual std::string name() const = 0;
  // The type of A and B.
  virtual ElementType operand_type() const = 0;
  // The numbers of rows that products are made for, descending. A row's bits are the same in all of them.
  virtual std::span<const std::int64_t> row_classes() const = 0;

  // Sizes are padded to multiples of it, itself one of kPaddedElements: of as many elements of the inner dimension as
  // are added up together, since a sum's bits depend on which.
  virtual std::int64_t size_step() const = 0;

  // Keeps what it made, but only so much; what is made again has the same bits.
  virtual std::shared_ptr<const Product> MakeProduct(const ProductShape& shape) = 0;
  // Packs [columns × inner] as a panel of [inner × columns]. Writes no byte beyond it.
  virtual std::shared_ptr<const Packer> MakeKeyPacker(std::int64_t inner, std::int64_t columns) = 0;
  // Of panels of values.
  virtual ValueLayout value_layout() const = 0;

  // Gives up what products hold on the calling thread (the state of matrix units). Called at the end of each piece of
  // work.
  virtual void ReleaseThread() const {}
};

}  // namespace attnd::core::kernels
