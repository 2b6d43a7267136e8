#include "client/cpp/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

namespace attnd {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

TEST(Tensor, NamesAndSizesOfTheElementTypes) {
  EXPECT_EQ(ElementTypeName(ElementType::kFloat32), "float32");
  EXPECT_EQ(ElementTypeName(ElementType::kBfloat16), "bfloat16");
  EXPECT_EQ(ElementTypeName(ElementType::kFloat16), "float16");
  EXPECT_EQ(ElementTypeName(ElementType::kInt32), "int32");
  EXPECT_EQ(ElementTypeName(ElementType::kBool), "bool");
  EXPECT_EQ(ElementSizeBytes(ElementType::kFloat32), 4);
  EXPECT_EQ(ElementSizeBytes(ElementType::kBfloat16), 2);
  EXPECT_EQ(ElementSizeBytes(ElementType::kFloat16), 2);
  EXPECT_EQ(ElementSizeBytes(ElementType::kInt32), 4);
  EXPECT_EQ(ElementSizeBytes(ElementType::kBool), 1);
}

TEST(Tensor, ShapesReadAsLists) {
  EXPECT_EQ(ToString(Shape{3, 12, 15, 32}), "[3, 12, 15, 32]");
  EXPECT_EQ(ToString(Shape{}), "[]");
}

TEST(Tensor, SizeIsTheProductOfAllDimensions) {
  EXPECT_EQ(*SizeBytes(ElementType::kFloat32, {3, 5, 7}, "query"), 3 * 5 * 7 * 4);
  EXPECT_EQ(*SizeBytes(ElementType::kBfloat16, {}, "query"), 2);
  EXPECT_EQ(*SizeBytes(ElementType::kFloat32, {3, 0}, "query"), 0);
  EXPECT_EQ(*SizeBytes(ElementType::kBool, {kLargest}, "query"), static_cast<std::size_t>(kLargest));
}

TEST(Tensor, RefusesShapesThatHaveNoSize) {
  const absl::Status negative = SizeBytes(ElementType::kFloat32, {3, -1}, "key").status();
  EXPECT_EQ(negative.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(negative.message()), AllOf(HasSubstr("key"), HasSubstr("[3, -1]")));

  const absl::Status overflow = SizeBytes(ElementType::kFloat32, {kLargest, 2}, "value").status();
  EXPECT_EQ(overflow.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(overflow.message()), AllOf(HasSubstr("value"), HasSubstr("2^63")));
  EXPECT_FALSE(SizeBytes(ElementType::kBfloat16, {kLargest}, "value").ok());
  EXPECT_FALSE(SizeBytes(ElementType::kBool, {std::int64_t{1} << 32, std::int64_t{1} << 32, 0}, "value").ok());
}

TEST(Tensor, BeginsAtACacheLine) {
  for (const std::int64_t size : {1, 3, 64, 1000}) {
    const auto tensor = Tensor::Create(ElementType::kFloat16, {size}, "output");
    ASSERT_TRUE(tensor.ok());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor->data()) % 64, 0);
    EXPECT_EQ(tensor->size_bytes(), static_cast<std::size_t>(2 * size));
  }
}

TEST(Tensor, SaysWhereThereIsNoMemory) {
  const auto tensor = Tensor::Create(ElementType::kFloat32, {std::int64_t{1} << 55}, "output");
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(tensor.status().message()), HasSubstr("output"));
}

TEST(Tensor, IsViewedWithoutACopy) {
  auto tensor = Tensor::Create(ElementType::kFloat32, {2, 3}, "output");
  ASSERT_TRUE(tensor.ok());
  const float elements[] = {0, 1, 2, 3, 4, 5};
  std::memcpy(tensor->data(), elements, sizeof elements);
  const TensorView view = tensor->view();
  EXPECT_EQ(view.element_type, ElementType::kFloat32);
  EXPECT_EQ(view.shape, (Shape{2, 3}));
  EXPECT_EQ(view.data, tensor->data());
  EXPECT_EQ(tensor->elements<float>()[5], 5);
}

TEST(Tensor, KeepsItsMemoryWhenMoved) {
  auto tensor = Tensor::Create(ElementType::kFloat32, {2, 3}, "output");
  ASSERT_TRUE(tensor.ok());
  const std::byte* const data = tensor->data();
  Tensor moved = *std::move(tensor);
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(moved.shape(), (Shape{2, 3}));
  moved = Tensor();
  EXPECT_EQ(moved.size_bytes(), 0);
  EXPECT_EQ(moved.shape(), (Shape{0}));
}

TEST(Tensor, TakesAnotherTypeOfTheSameSize) {
  auto bytes = Tensor::Create(ElementType::kBool, {12}, "output");
  ASSERT_TRUE(bytes.ok());
  const std::byte* const data = bytes->data();
  const auto tensor = Tensor::Reinterpret(*std::move(bytes), ElementType::kBfloat16, {2, 3}, "output");
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->data(), data);
  EXPECT_EQ(tensor->element_type(), ElementType::kBfloat16);
}

TEST(Tensor, RefusesAnotherTypeOfAnotherSize) {
  auto bytes = Tensor::Create(ElementType::kBool, {12}, "output");
  ASSERT_TRUE(bytes.ok());
  const auto tensor = Tensor::Reinterpret(*std::move(bytes), ElementType::kFloat32, {2, 3}, "output");
  EXPECT_EQ(tensor.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tensor.status().message()),
              AllOf(HasSubstr("output"), HasSubstr("12"), HasSubstr("24"), HasSubstr("float32 [2, 3]")));
}

}  // namespace
}  // namespace attnd
