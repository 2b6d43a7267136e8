// What a request's shapes and masks say, and which requests are left to the server's judgement.
#include "client/cpp/problem_sizes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>

namespace attnd {
namespace {

const char kMemory = 0;  // is not read

TensorView View(Shape shape, ElementType type = ElementType::kFloat32) { return {type, std::move(shape), &kMemory}; }

AttendRequest Request() {
  return {.query = View({2, 6, 5, 8}), .key = View({2, 3, 7, 8}), .value = View({2, 3, 7, 4})};
}

TEST(ProblemSizesTest, AreTheSameInEveryLayout) {
  AttendRequest request = Request();
  for (const Layout layout : {Layout::kBhsd, Layout::kBshd}) {
    if (layout == Layout::kBshd) {
      request = {.query = View({2, 5, 6, 8}), .key = View({2, 7, 3, 8}), .value = View({2, 7, 3, 4}), .layout = layout};
    }
    const ProblemSizes sizes = SizesOf(request).value();
    EXPECT_EQ(sizes.batch, 2);
    EXPECT_EQ(sizes.query_heads, 6);
    EXPECT_EQ(sizes.key_value_heads, 3);
    EXPECT_EQ(sizes.query_heads_per_group(), 2);
    EXPECT_EQ(sizes.query_rows, 5);
    EXPECT_EQ(sizes.keys, 7);
    EXPECT_EQ(sizes.head_size, 8);
    EXPECT_EQ(sizes.value_head_size, 4);
  }
}

TEST(ProblemSizesTest, LowerRanksHaveOneHeadAndOneEntry) {
  const ProblemSizes entries =
      SizesOf({.query = View({2, 5, 8}), .key = View({2, 7, 8}), .value = View({2, 7, 4})}).value();
  EXPECT_EQ(entries.batch, 2);
  EXPECT_EQ(entries.query_heads, 1);
  EXPECT_EQ(entries.keys, 7);
  const ProblemSizes matrix = SizesOf({.query = View({5, 8}), .key = View({7, 8}), .value = View({7, 4})}).value();
  EXPECT_EQ(matrix.batch, 1);
  EXPECT_EQ(matrix.query_rows, 5);
  EXPECT_EQ(matrix.value_head_size, 4);
}

TEST(ProblemSizesTest, AContradictionIsLeftToTheServer) {
  const std::vector<std::function<void(AttendRequest&)>> mistakes = {
      [](AttendRequest& r) { r.query.shape = {8}; },
      [](AttendRequest& r) { r.query.shape = {1, 2, 6, 5, 8}; },
      [](AttendRequest& r) { r.query.shape = {2, 6, 0, 8}; },
      [](AttendRequest& r) { r.query.shape = {2, 6, -5, 8}; },
      [](AttendRequest& r) { r.query.shape = {2, 5, 5, 8}; },  // five heads read three
      [](AttendRequest& r) { r.query.element_type = ElementType::kInt32; },
      [](AttendRequest& r) { r.query.data = nullptr; },
      [](AttendRequest& r) { r.key.shape = {2, 3, 7, 9}; },
      [](AttendRequest& r) { r.key.shape = {3, 3, 7, 8}; },
      [](AttendRequest& r) { r.key.element_type = ElementType::kBfloat16; },
      [](AttendRequest& r) { r.value.shape = {2, 3, 6, 4}; },
      [](AttendRequest& r) { r.value.shape = {3, 7, 4}; },
      [](AttendRequest& r) { r.query.shape = {2, 6, std::int64_t{1} << 60, 8}; },
      [](AttendRequest& r) { r.mask.causal = CausalAlignment::kUnspecified; },  // five rows, seven keys
      [](AttendRequest& r) { r.mask.causal_offsets = {{0}}; },
      [](AttendRequest& r) {
        r.mask.causal = CausalAlignment::kTopLeft;
        r.mask.causal_offsets = {{0, 0}};
      },
      [](AttendRequest& r) { r.mask.key_lengths = {{7}}; },
      [](AttendRequest& r) { r.mask.key_lengths = {{7, 8}}; },
      [](AttendRequest& r) { r.mask.boolean = View({5, 7}); },
      [](AttendRequest& r) { r.mask.boolean = View({4, 7}, ElementType::kBool); },
      [](AttendRequest& r) { r.mask.boolean = View({1, 2, 6, 5, 7}, ElementType::kBool); },
  };
  ASSERT_TRUE(SizesOf(Request()).has_value());
  for (std::size_t n = 0; n < mistakes.size(); ++n) {
    AttendRequest request = Request();
    mistakes[n](request);
    EXPECT_FALSE(SizesOf(request).has_value()) << "mistake " << n;
  }
}

TEST(ProblemSizesTest, OffsetsOfTheDiagonal) {
  AttendRequest request = Request();
  const ProblemSizes sizes = SizesOf(request).value();
  EXPECT_EQ(CausalOffset(request, sizes, 0), std::nullopt);
  request.mask.causal = CausalAlignment::kTopLeft;
  EXPECT_EQ(CausalOffset(request, sizes, 1), 0);
  request.mask.causal = CausalAlignment::kBottomRight;
  EXPECT_EQ(CausalOffset(request, sizes, 1), 2);
  request.mask = {.causal_offsets = {{3, -4}}};
  EXPECT_EQ(CausalOffset(request, sizes, 0), 3);
  EXPECT_EQ(CausalOffset(request, sizes, 1), -4);
  // As far as it matters.
  request.mask = {
      .causal_offsets = {{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}}};
  EXPECT_EQ(CausalOffset(request, sizes, 0), -5);
  EXPECT_EQ(CausalOffset(request, sizes, 1), 7);
}

TEST(ProblemSizesTest, KeysThatARowSees) {
  AttendRequest request = Request();
  const ProblemSizes sizes = SizesOf(request).value();
  EXPECT_EQ(VisibleKeysEnd(request, sizes, 0, 0), 7);
  request.mask.key_lengths = {{4, 0}};
  EXPECT_EQ(VisibleKeysEnd(request, sizes, 0, 0), 4);
  EXPECT_EQ(VisibleKeysEnd(request, sizes, 1, 4), 0);
  request.mask.causal_offsets = {{-1, 0}};
  EXPECT_EQ(VisibleKeysEnd(request, sizes, 0, 0), 0);
  EXPECT_EQ(VisibleKeysEnd(request, sizes, 0, 2), 2);
  EXPECT_EQ(VisibleKeysEnd(request, sizes, 0, 4), 4);
}

}  // namespace
}  // namespace attnd
