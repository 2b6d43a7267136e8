// The products by oneDNN's micro-kernels (dnnl::ukernel::brgemm).
#include <array>
#include <cassert>
#include <oneapi/dnnl/dnnl_ukernel.hpp>
#include <utility>

#include "core/kernels/kernel_list.h"
#include "core/kernels/lru_cache.h"
#include "core/kernels/thread_scratchpad.h"
#include "core/kernels/transposing_packer.h"

namespace attnd::core::kernels {

#ifdef DNNL_EXPERIMENTAL_UKERNEL
namespace {

using dnnl::ukernel::brgemm;
using dnnl::ukernel::pack_type;
using DataType = dnnl::memory::data_type;

// Rows of a product: a tile's 64, and powers of two for its last rows. From 4 rows on, all reach the full rate on AVX2.
constexpr std::array<std::int64_t, 6> kRowClasses = {64, 32, 16, 8, 4, 1};

// A product's code takes some 10 KiB; this bounds all of it to a few MiB.
constexpr std::size_t kKeptProducts = 512;

DataType ToOnednn(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return DataType::f32;
    case ElementType::kBfloat16:
      return DataType::bf16;
    case ElementType::kFloat16:
      return DataType::f16;
    case ElementType::kInt32:
    case ElementType::kBool:
      break;
  }
  assert(false);
  return DataType::undef;
}

class BrgemmProduct final : public Product {
 public:
  BrgemmProduct(const ProductShape& shape, ElementType operand_type)
      : brgemm_(shape.rows, shape.columns, shape.inner, /*batch_size=*/1, shape.a_stride, /*ldb=*/shape.columns,
                shape.c_stride, ToOnednn(operand_type), ToOnednn(operand_type), DataType::f32),
        columns_(shape.columns) {
    brgemm_.set_add_C(shape.accumulate);
    brgemm_.finalize();
    brgemm_.generate();
    scratchpad_size_bytes_ = brgemm_.get_scratchpad_size();
  }

  void Run(const void* a, const void* b, std::int64_t panel_size_bytes, std::int64_t panels, float* c) const override {
    void* scratchpad = ThreadScratchpad(scratchpad_size_bytes_);
    brgemm_.set_hw_context();
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      brgemm_.execute(a, static_cast<const std::byte*>(b) + panel * panel_size_bytes, offsets_, c + panel * columns_,
                      scratchpad);
    }
  }

  pack_type b_pack_type() const { return brgemm_.get_B_pack_type(); }

 private:
  brgemm brgemm_;
  const std::int64_t columns_;
  std::size_t scratchpad_size_bytes_ = 0;
  const std::vector<std::pair<dnnl::memory::dim, dnnl::memory::dim>> offsets_ = {{0, 0}};
};

class BrgemmProducts final : public Products {
 public:
  // `takes_plain`: the micro-kernels read B as a plain matrix.
  BrgemmProducts(ElementType operand_type, bool takes_plain)
      : operand_type_(operand_type), takes_plain_(takes_plain), products_(kKeptProducts) {}

  std::string name() const override { return "brgemm-" + std::string(ElementTypeName(operand_type_)); }
  ElementType operand_type() const override { return operand_type_; }
  std::span<const std::int64_t> row_classes() const override { return kRowClasses; }

  std::shared_ptr<const Product> MakeProduct(const ProductShape& shape) override {
    return products_.GetOrMake(shape, [&] { return std::make_shared<BrgemmProduct>(shape, operand_type_); });
  }

  std::shared_ptr<const Packer> MakeKeyPacker(std::int64_t inner, std::int64_t columns) override {
    if (operand_type_ == ElementType::kFloat32) return std::make_shared<TransposingPacker>(inner, columns);
    if (takes_plain_) return std::make_shared<HalfTransposingPacker>(inner, columns);
    // pack_type::pack32: pairs of rows of B are interleaved, so that a pair takes 32 bits.
    return std::make_shared<TransposingPacker>(inner / 2, columns);
  }

  ValueLayout value_layout() const override { return takes_plain_ ? ValueLayout::kRows : ValueLayout::kRowPairs; }

  void ReleaseThread() const override { brgemm::release_hw_context(); }

 private:
  const ElementType operand_type_;
  const bool takes_plain_;
  LruCache<ProductShape, Product> products_;
};

}  // namespace

std::shared_ptr<Products> MakeBrgemmProducts(ElementType operand_type) {
  // Whether the machine has a micro-kernel for the type is told by making one.
  try {
    const BrgemmProduct probe({.rows = kRowClasses[0],
                               .columns = kPanelColumns,
                               .inner = kPanelColumns,
                               .a_stride = kPanelColumns,
                               .c_stride = kPanelColumns},
                              operand_type);
    return std::make_shared<BrgemmProducts>(operand_type, probe.b_pack_type() == pack_type::no_trans);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

#else

std::shared_ptr<Products> MakeBrgemmProducts(ElementType) { return nullptr; }

#endif

}  // namespace attnd::core::kernels
