#include "client/cli/array.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tests/support/small_float.h"

namespace attnd::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
Array Of(DataType type, const std::vector<T>& elements) {
  return {type, {static_cast<std::int64_t>(elements.size())}, std::as_bytes(std::span(elements))};
}

TEST(Array, EveryTypesElementsAreReadAsNumbers) {
  EXPECT_EQ(ElementAsFloat64(Of<float>(DataType::kFloat32, {0.5F, -1.5F}), 1), -1.5);
  EXPECT_EQ(ElementAsFloat64(Of<std::int64_t>(DataType::kInt64, {0, -5'000'000'000}), 1), -5e9);
  EXPECT_EQ(ElementAsFloat64(Of<std::int32_t>(DataType::kInt32, {0, -7}), 1), -7);
  EXPECT_EQ(ElementAsFloat64(Of<std::uint8_t>(DataType::kUint8, {0, 200}), 1), 200);
  EXPECT_EQ(ElementAsFloat64(Of<std::uint8_t>(DataType::kBool, {0, 2}), 1), 1);
}

// All 65,536 of each, held against the tests' own conversion.
TEST(Array, SmallFloatsAreReadExactly) {
  for (const auto& [type, judge] : {std::pair(DataType::kFloat16, core::ElementType::kFloat16),
                                    std::pair(DataType::kBfloat16, core::ElementType::kBfloat16)}) {
    std::vector<std::uint16_t> all(65536);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
    const Array array = Of(type, all);
    const std::vector<double> expected =
        test::Decode(judge, reinterpret_cast<const std::uint8_t*>(all.data()), all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double number = ElementAsFloat64(array, static_cast<std::int64_t>(i));
      if (std::isnan(expected[i])) {
        EXPECT_TRUE(std::isnan(number)) << i;
      } else {
        EXPECT_EQ(number, expected[i]) << i;
        EXPECT_EQ(std::signbit(number), std::signbit(expected[i])) << i;
      }
    }
  }
}

TEST(Array, ElementsMayHaveAnyAlignment) {
  std::vector<std::byte> bytes(1 + sizeof(float));
  const float number = 2.5;
  std::memcpy(bytes.data() + 1, &number, sizeof number);
  EXPECT_EQ(ElementAsFloat64({DataType::kFloat32, {1}, std::span(bytes).subspan(1)}, 0), 2.5);
}

TEST(Array, IntegersOfBothSizes) {
  EXPECT_THAT(*ToIntegers(Of<std::int64_t>(DataType::kInt64, {15, -1}), "lengths"), ElementsAre(15, -1));
  EXPECT_THAT(*ToIntegers(Of<std::int32_t>(DataType::kInt32, {15, -1}), "lengths"), ElementsAre(15, -1));
  const absl::Status status = ToIntegers(Of<float>(DataType::kFloat32, {15}), "lengths").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("lengths: element type is float32, expected int64 or int32"));
}

TEST(Array, IsViewedAsAttentionTakesIt) {
  const std::vector<std::uint8_t> bytes = {1, 0, 1, 1};
  const auto view = ToTensorView(Of(DataType::kUint8, bytes), "mask");
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->element_type, ElementType::kBool);
  EXPECT_EQ(view->data, bytes.data());
  EXPECT_EQ(view->shape, (Shape{4}));
  for (const auto& [type, expected] :
       {std::pair(DataType::kFloat32, ElementType::kFloat32), std::pair(DataType::kBfloat16, ElementType::kBfloat16),
        std::pair(DataType::kFloat16, ElementType::kFloat16), std::pair(DataType::kInt32, ElementType::kInt32),
        std::pair(DataType::kBool, ElementType::kBool)}) {
    EXPECT_EQ(ToTensorView({type, {0}, {}}, "query")->element_type, expected);
  }
  const absl::Status status = ToTensorView({DataType::kInt64, {0}, {}}, "query").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("query"));
}

TEST(Array, OfATensorBorrowsItsBytes) {
  for (const auto& [type, expected] :
       {std::pair(ElementType::kFloat32, DataType::kFloat32), std::pair(ElementType::kBfloat16, DataType::kBfloat16),
        std::pair(ElementType::kFloat16, DataType::kFloat16), std::pair(ElementType::kInt32, DataType::kInt32),
        std::pair(ElementType::kBool, DataType::kBool)}) {
    const auto tensor = Tensor::Create(type, {2, 3}, "output");
    ASSERT_TRUE(tensor.ok());
    const Array array = ToArray(*tensor);
    EXPECT_EQ(array.type, expected);
    EXPECT_EQ(array.bytes.data(), tensor->data());
    EXPECT_EQ(array.element_count(), 6);
  }
}

TEST(Array, RefusesShapesThatHaveNoSize) {
  constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(*ArraySizeBytes(DataType::kInt64, {2, 3}, "x"), 48);
  EXPECT_FALSE(ArraySizeBytes(DataType::kInt64, {2, -3}, "x").ok());
  EXPECT_FALSE(ArraySizeBytes(DataType::kInt64, {kLargest}, "x").ok());
  EXPECT_FALSE(ArraySizeBytes(DataType::kUint8, {kLargest, 2}, "x").ok());
}

}  // namespace
}  // namespace attnd::cli
