#include "client/cli/comparison.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace attnd::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

double Difference(const std::vector<float>& left, const std::vector<float>& right) {
  const auto size = static_cast<std::int64_t>(left.size());
  return LargestDifference({DataType::kFloat32, {size}, std::as_bytes(std::span(left))},
                           {DataType::kFloat32, {size}, std::as_bytes(std::span(right))});
}

TEST(Comparison, IsTheLargestOfAllDifferences) {
  EXPECT_EQ(Difference({1, 2, 3}, {1, 2, 3}), 0);
  EXPECT_EQ(Difference({1, 2, 3}, {1.5, 2, 1}), 2);
  EXPECT_EQ(Difference({-1, 2}, {1, 2}), 2);
  EXPECT_EQ(Difference({0.0F}, {-0.0F}), 0);
}

TEST(Comparison, NanEqualsOnlyNan) {
  EXPECT_EQ(Difference({kNan, 1}, {kNan, 1}), 0);
  EXPECT_EQ(Difference({kNan, 1}, {1, 1}), kInfinity);
  EXPECT_EQ(Difference({1, 1}, {1, kNan}), kInfinity);
  EXPECT_EQ(Difference({kNan}, {kInf}), kInfinity);
}

TEST(Comparison, AnInfinityEqualsOnlyItself) {
  EXPECT_EQ(Difference({kInf, -kInf}, {kInf, -kInf}), 0);
  EXPECT_EQ(Difference({kInf}, {-kInf}), kInfinity);
  EXPECT_EQ(Difference({kInf}, {1e38F}), kInfinity);
}

TEST(Comparison, ALateLargeDifferenceIsNotHiddenByANan) { EXPECT_EQ(Difference({kNan, 1}, {kNan, 4}), 3); }

TEST(Comparison, OtherShapesAreInfinitelyFar) {
  const std::vector<float> elements(6);
  const auto bytes = std::as_bytes(std::span(elements));
  EXPECT_EQ(LargestDifference({DataType::kFloat32, {2, 3}, bytes}, {DataType::kFloat32, {3, 2}, bytes}), kInfinity);
  EXPECT_EQ(LargestDifference({DataType::kFloat32, {6}, bytes}, {DataType::kFloat32, {1, 6}, bytes}), kInfinity);
}

TEST(Comparison, TypesMayDiffer) {
  const std::vector<float> left = {1, 2};
  const std::vector<std::uint16_t> right = {0x3f80, 0x4020};  // 1 and 2.5 in bfloat16
  EXPECT_EQ(LargestDifference({DataType::kFloat32, {2}, std::as_bytes(std::span(left))},
                              {DataType::kBfloat16, {2}, std::as_bytes(std::span(right))}),
            0.5);
}

}  // namespace
}  // namespace attnd::cli
