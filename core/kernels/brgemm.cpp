// The products by oneDNN's micro-kernels (dnnl::ukernel::brgemm), and of few rows by our own.
#include <array>
#include <cassert>
#include <oneapi/dnnl/dnnl_ukernel.hpp>
#include <utility>

#include "core/kernels/few_rows.h"
#include "core/kernels/kernel_list.h"
#include "core/kernels/lru_cache.h"
#include "core/kernels/softmax.h"
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

// Matrix units multiply up to 32 half elements of the inner dimension at a time, and oneDNN has them take the largest
// even divisor of it, so that 48 would be added up as twice 24.
constexpr std::int64_t kMatrixUnitElements = 32;

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
      : brgemm_(shape.rows, shape.columns, shape.inner, /*batch_size=*/1, shape.a_stride, /*ldb=*/shape.panel_columns,
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

class FewRowsProduct final : public Product {
 public:
  FewRowsProduct(const ProductShape& shape, ElementType operand_type) : shape_(shape), operand_type_(operand_type) {}

  void Run(const void* a, const void* b, std::int64_t panel_size_bytes, std::int64_t panels, float* c) const override {
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      MultiplyFewRows(operand_type_, shape_, a, static_cast<const std::byte*>(b) + panel * panel_size_bytes,
                      c + panel * shape_.columns);
    }
  }

 private:
  const ProductShape shape_;
  const ElementType operand_type_;
};

bool IsOfFewRows(const ProductShape& shape) { return shape.rows == 1 || shape.rows == kFewRows; }

// Whether products of few rows have the bits of the micro-kernels, which compute the other classes of rows: matrix
// units for example add up in another order.
bool FewRowsHaveSameBits(ElementType operand_type) {
  constexpr std::int64_t kInner = 48;
  std::vector<float> numbers(kInner * kPanelColumns);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i * i % 1009) / 1009 - 0.5F;
  std::vector<std::byte> operand(numbers.size() * ElementSizeBytes(operand_type));
  FromFloat32(numbers.data(), static_cast<std::int64_t>(numbers.size()), operand_type, operand.data());
  const auto product_is_same = [&](std::int64_t rows, bool accumulate) {
    const ProductShape shape{.rows = rows,
                             .columns = kPanelColumns,
                             .inner = kInner,
                             .a_stride = kInner,
                             .panel_columns = kPanelColumns,
                             .c_stride = kPanelColumns,
                             .accumulate = accumulate};
    std::vector<float> expected(numbers.begin(), numbers.begin() + kFewRows * kPanelColumns);
    std::vector<float> found = expected;
    BrgemmProduct(shape, operand_type).Run(operand.data(), operand.data(), /*panel_size_bytes=*/0, 1, expected.data());
    FewRowsProduct(shape, operand_type).Run(operand.data(), operand.data(), /*panel_size_bytes=*/0, 1, found.data());
    brgemm::release_hw_context();
    return found == expected;
  };
  return HasFewRowsProduct(operand_type) && product_is_same(1, false) && product_is_same(1, true) &&
         product_is_same(kFewRows, false) && product_is_same(kFewRows, true);
}

class BrgemmProducts final : public Products {
 public:
  // `takes_plain`: the micro-kernels read B as a plain matrix.
  BrgemmProducts(ElementType operand_type, bool takes_plain)
      : operand_type_(operand_type),
        takes_plain_(takes_plain),
        has_few_rows_(FewRowsHaveSameBits(operand_type)),
        products_(kKeptProducts) {}

  std::string name() const override { return "brgemm-" + std::string(ElementTypeName(operand_type_)); }
  ElementType operand_type() const override { return operand_type_; }
  std::span<const std::int64_t> row_classes() const override { return kRowClasses; }
  std::int64_t size_step() const override {
    // Where one after the other is added up, as ours do it, no step is too short.
    return operand_type_ == ElementType::kFloat32 || has_few_rows_ ? kPaddedElements : kMatrixUnitElements;
  }

  std::shared_ptr<const Product> MakeProduct(const ProductShape& shape) override {
    if (has_few_rows_ && IsOfFewRows(shape)) return std::make_shared<FewRowsProduct>(shape, operand_type_);
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
  const bool has_few_rows_;
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
                               .panel_columns = kPanelColumns,
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
