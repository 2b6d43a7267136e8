// Each implementation of the products by itself: what it packs stays in its place, and multiplied it is the product.
#include "core/kernels/products.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/kernels/kernel_list.h"
#include "core/kernels/softmax.h"

namespace attnd::core::kernels {
namespace {

constexpr std::size_t kGuardBytes = 4096;
constexpr std::byte kGuard{0xA5};

// All that this machine has.
std::vector<std::shared_ptr<Products>> AllProducts() {
  std::vector<std::shared_ptr<Products>> all = {MakeMatmulProducts()};
  for (const ElementType type : {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16}) {
    if (std::shared_ptr<Products> products = MakeBrgemmProducts(type)) all.push_back(products);
  }
  return all;
}

// A matrix of small integers, which every type holds exactly.
class Matrix {
 public:
  Matrix(std::int64_t rows, std::int64_t columns, ElementType type)
      : columns_(columns),
        numbers_(static_cast<std::size_t>(rows * columns)),
        bytes_(numbers_.size() * ElementSizeBytes(type)) {
    for (std::size_t i = 0; i < numbers_.size(); ++i) numbers_[i] = static_cast<float>((i * 7 + i / 13) % 17) - 8;
    FromFloat32(numbers_.data(), rows * columns, type, bytes_.data());
  }

  float at(std::int64_t row, std::int64_t column) const {
    return numbers_[static_cast<std::size_t>(row * columns_ + column)];
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  const std::int64_t columns_;
  std::vector<float> numbers_;
  std::vector<std::byte> bytes_;
};

// A panel with guards after it.
class Panel {
 public:
  Panel(std::int64_t inner, std::int64_t columns, ElementType type)
      : size_bytes_(static_cast<std::size_t>(inner * columns) * ElementSizeBytes(type)),
        bytes_(size_bytes_ + kGuardBytes, kGuard) {}

  std::byte* data() { return bytes_.data(); }
  bool guards_are_intact() const {
    return std::all_of(bytes_.begin() + static_cast<std::ptrdiff_t>(size_bytes_), bytes_.end(),
                       [](std::byte byte) { return byte == kGuard; });
  }

 private:
  const std::size_t size_bytes_;
  std::vector<std::byte> bytes_;
};

// Every size that a plan may ask for, up to a whole panel.
std::vector<std::int64_t> PaddedSizes(const Products& products) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = 1; size <= kPanelColumns; size = sizes.back() + 1)
    sizes.push_back(PaddedSize(size, products.size_step()));
  return sizes;
}

std::vector<float> Multiply(Products& products, const Matrix& a, std::int64_t rows, std::int64_t inner,
                            std::int64_t columns, const void* panel, std::int64_t panel_columns) {
  const ProductShape shape{.rows = rows,
                           .columns = columns,
                           .inner = inner,
                           .a_stride = inner,
                           .panel_columns = panel_columns,
                           .c_stride = columns,
                           .accumulate = false};
  std::vector<float> c(static_cast<std::size_t>(rows * columns), -1);
  products.MakeProduct(shape)->Run(a.bytes().data(), panel, /*panel_size_bytes=*/0, 1, c.data());
  products.ReleaseThread();
  return c;
}

// Rows of keys, [columns × inner], as a panel.
Panel PackKeys(Products& products, const Matrix& keys, std::int64_t inner, std::int64_t columns) {
  Panel panel(inner, columns, products.operand_type());
  const auto size_bytes = static_cast<std::int64_t>(core::ElementSizeBytes(products.operand_type()));
  products.MakeKeyPacker(inner, columns)->Run(keys.bytes().data(), inner * size_bytes, panel.data());
  EXPECT_TRUE(panel.guards_are_intact());
  return panel;
}

class ProductsTest : public ::testing::Test {
 protected:
  // Calls check(products, rows, inner, columns) for every implementation, class of rows and panel.
  template <typename Check>
  void ForEachShape(Check check) {
    for (const auto& products : AllProducts()) {
      for (const std::int64_t inner : PaddedSizes(*products)) {
        for (const std::int64_t columns : PaddedSizes(*products)) {
          for (const std::int64_t rows : products->row_classes()) {
            SCOPED_TRACE(products->name() + " rows " + std::to_string(rows) + " inner " + std::to_string(inner) +
                         " columns " + std::to_string(columns));
            check(*products, rows, inner, columns);
          }
        }
      }
    }
  }
};

TEST_F(ProductsTest, OfPackedKeys) {
  ForEachShape([](Products& products, std::int64_t rows, std::int64_t inner, std::int64_t columns) {
    const Matrix query(rows, inner, products.operand_type());
    const Matrix keys(columns, inner, products.operand_type());
    Panel panel = PackKeys(products, keys, inner, columns);
    const std::vector<float> scores = Multiply(products, query, rows, inner, columns, panel.data(), columns);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        float expected = 0;
        for (std::int64_t d = 0; d < inner; ++d) expected += query.at(i, d) * keys.at(j, d);
        ASSERT_EQ(scores[static_cast<std::size_t>(i * columns + j)], expected) << i << ", " << j;
      }
    }
  });
}

TEST_F(ProductsTest, OfTheFirstColumnsOfAPanel) {
  ForEachShape([](Products& products, std::int64_t rows, std::int64_t inner, std::int64_t columns) {
    const Matrix query(rows, inner, products.operand_type());
    const Matrix keys(kPanelColumns, inner, products.operand_type());
    Panel panel = PackKeys(products, keys, inner, kPanelColumns);
    const std::vector<float> whole = Multiply(products, query, rows, inner, kPanelColumns, panel.data(), kPanelColumns);
    const std::vector<float> part = Multiply(products, query, rows, inner, columns, panel.data(), kPanelColumns);
    for (std::int64_t i = 0; i < rows; ++i) {
      EXPECT_TRUE(
          std::equal(part.begin() + i * columns, part.begin() + (i + 1) * columns, whole.begin() + i * kPanelColumns));
    }
  });
}

TEST_F(ProductsTest, OfPackedValues) {
  ForEachShape([](Products& products, std::int64_t rows, std::int64_t inner, std::int64_t columns) {
    const Matrix weights(rows, inner, products.operand_type());
    const Matrix values(inner, columns, products.operand_type());
    Panel panel(inner, columns, products.operand_type());
    const auto size_bytes = static_cast<std::int64_t>(core::ElementSizeBytes(products.operand_type()));
    const PlainRows plain{
        .first = values.bytes().data(), .row_size_bytes = columns * size_bytes, .rows = inner, .columns = columns};
    const ValueKinds kinds =
        PackValues(products.operand_type(), products.value_layout(), plain, inner, columns, panel.data());
    EXPECT_FALSE(kinds.non_finite || kinds.large);
    EXPECT_TRUE(panel.guards_are_intact());
    const std::vector<float> sums = Multiply(products, weights, rows, inner, columns, panel.data(), columns);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        float expected = 0;
        for (std::int64_t k = 0; k < inner; ++k) expected += weights.at(i, k) * values.at(k, j);
        ASSERT_EQ(sums[static_cast<std::size_t>(i * columns + j)], expected) << i << ", " << j;
      }
    }
  });
}

}  // namespace
}  // namespace attnd::core::kernels
