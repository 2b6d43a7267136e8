// Values packed into panels: each element in its place, zeros beyond them, nothing of it that is not finite.
#include "core/kernels/value_packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/kernels/products.h"

namespace attnd::core::kernels {
namespace {

// Elements of the matrix differ, and what lies between its rows is large.
template <typename Element>
class Values {
 public:
  Values(std::int64_t rows, std::int64_t columns, Element large)
      : rows_(rows),
        columns_(columns),
        stride_(columns + 3),
        elements_(static_cast<std::size_t>(rows * stride_), large) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        at(row, column) = static_cast<Element>(1 + row * columns + column);
      }
    }
  }

  Element& at(std::int64_t row, std::int64_t column) {
    return elements_[static_cast<std::size_t>(row * stride_ + column)];
  }
  // 0 in the padding.
  Element AtOrZero(std::int64_t row, std::int64_t column) {
    return row < rows_ && column < columns_ ? at(row, column) : 0;
  }

  PlainRows rows() const {
    return {.first = elements_.data(),
            .row_size_bytes = stride_ * static_cast<std::int64_t>(sizeof(Element)),
            .rows = rows_,
            .columns = columns_};
  }

 private:
  const std::int64_t rows_;
  const std::int64_t columns_;
  const std::int64_t stride_;
  std::vector<Element> elements_;
};

// Where an element of panels of `padded_rows` rows is.
std::size_t PlaceOf(ValueLayout layout, std::int64_t row, std::int64_t column, std::int64_t padded_rows,
                    std::int64_t padded_columns) {
  const std::int64_t first = column / kPanelColumns * kPanelColumns;
  const std::int64_t width = std::min(kPanelColumns, padded_columns - first);
  const std::int64_t in_panel = layout == ValueLayout::kRows ? row * width + (column - first)
                                                             : row / 2 * 2 * width + 2 * (column - first) + row % 2;
  return static_cast<std::size_t>(first * padded_rows + in_panel);
}

template <typename Element>
void ExpectInPlace(ElementType type, ValueLayout layout, std::int64_t rows, std::int64_t columns, Element large) {
  SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
  Values<Element> values(rows, columns, large);
  const std::int64_t padded_rows = PaddedSize(rows, kPaddedElements);
  const std::int64_t padded_columns = PaddedSize(columns, kPaddedElements);
  constexpr std::size_t kGuards = 64;
  std::vector<Element> packed(static_cast<std::size_t>(padded_rows * padded_columns) + kGuards, large);
  const ValueKinds kinds = PackValues(type, layout, values.rows(), padded_rows, padded_columns, packed.data());
  EXPECT_FALSE(kinds.large);
  EXPECT_FALSE(kinds.non_finite);
  for (std::int64_t row = 0; row < padded_rows; ++row) {
    for (std::int64_t column = 0; column < padded_columns; ++column) {
      ASSERT_EQ(packed[PlaceOf(layout, row, column, padded_rows, padded_columns)], values.AtOrZero(row, column))
          << row << ", " << column;
    }
  }
  for (std::size_t i = packed.size() - kGuards; i < packed.size(); ++i) ASSERT_EQ(packed[i], large);
}

template <typename Element>
void ExpectAllInPlace(ElementType type, ValueLayout layout, Element large) {
  for (const std::int64_t rows : {1, 2, 15, 16, 33}) {
    for (const std::int64_t columns : {1, 15, 16, 17, 48, 64, 65, 80, 128, 200}) {
      ExpectInPlace<Element>(type, layout, rows, columns, large);
    }
  }
}

constexpr std::uint32_t kFloat32Infinity = 0x7F800000U;
constexpr std::uint16_t kBfloat16Infinity = 0x7F80U;
constexpr std::uint16_t kFloat16Infinity = 0x7C00U;

TEST(PackValues, OfFloat32) {
  ExpectAllInPlace<std::uint32_t>(ElementType::kFloat32, ValueLayout::kRows, kFloat32Infinity);
}

TEST(PackValues, OfHalfTypesRowByRow) {
  ExpectAllInPlace<std::uint16_t>(ElementType::kFloat16, ValueLayout::kRows, kFloat16Infinity);
}

TEST(PackValues, OfHalfTypesInPairsOfRows) {
  ExpectAllInPlace<std::uint16_t>(ElementType::kBfloat16, ValueLayout::kRowPairs, kBfloat16Infinity);
}

// What is at some place of the last row, an odd one, is told, and 0 where it is not finite.
template <typename Element>
ValueKinds KindsWith(ElementType type, ValueLayout layout, Element element, Element expected) {
  Values<Element> values(/*rows=*/5, /*columns=*/80, /*large=*/0);
  values.at(4, 78) = element;
  std::vector<Element> packed(16 * 80);
  const ValueKinds kinds = PackValues(type, layout, values.rows(), 16, 80, packed.data());
  EXPECT_EQ(packed[PlaceOf(layout, 4, 78, 16, 80)], expected);
  EXPECT_EQ(packed[PlaceOf(layout, 4, 77, 16, 80)], values.at(4, 77));
  return kinds;
}

TEST(PackValues, ReplacesWhatIsNotFinite) {
  constexpr std::uint32_t kFloat32Nan = 0xFFC00001U;
  const auto of_float32 = KindsWith<std::uint32_t>(ElementType::kFloat32, ValueLayout::kRows, kFloat32Nan, 0);
  EXPECT_TRUE(of_float32.non_finite);
  EXPECT_FALSE(of_float32.large);
  const auto of_bfloat16 =
      KindsWith<std::uint16_t>(ElementType::kBfloat16, ValueLayout::kRowPairs, kBfloat16Infinity | 0x8000U, 0);
  EXPECT_TRUE(of_bfloat16.non_finite);
  EXPECT_FALSE(of_bfloat16.large);
  EXPECT_TRUE(KindsWith<std::uint16_t>(ElementType::kFloat16, ValueLayout::kRowPairs, kFloat16Infinity, 0).non_finite);
}

TEST(PackValues, TellsOfLargeOnes) {
  std::uint32_t large = 0;
  std::memcpy(&large, &kLargeValue, sizeof(large));
  EXPECT_TRUE(KindsWith<std::uint32_t>(ElementType::kFloat32, ValueLayout::kRows, large, large).large);
  EXPECT_FALSE(KindsWith<std::uint32_t>(ElementType::kFloat32, ValueLayout::kRows, large - 1, large - 1).large);
  const auto half = static_cast<std::uint16_t>(large >> 16);
  EXPECT_TRUE(KindsWith<std::uint16_t>(ElementType::kBfloat16, ValueLayout::kRowPairs, half, half).large);
}

}  // namespace
}  // namespace attnd::core::kernels
