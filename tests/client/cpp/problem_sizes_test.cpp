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

TensorView Ids(Shape shape) { return View(std::move(shape), ElementType::kInt32); }

BlockMask Blocks(std::int64_t rows, std::int64_t keys, Shape shape) {
  return {.query_block_rows = rows, .key_block_keys = keys, .tensor = View(std::move(shape), ElementType::kBool)};
}

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
      [](AttendRequest& r) { r.mask.causal_prefix_lengths = {{7, 7}}; },  // and five rows, seven keys
      [](AttendRequest& r) {
        r.mask.causal = CausalAlignment::kTopLeft;
        r.mask.causal_prefix_lengths = {{7, 8}};
      },
      [](AttendRequest& r) { r.mask.window = SlidingWindow{.left = 1}; },   // five rows, seven keys
      [](AttendRequest& r) { r.alibi_slopes = std::vector<float>(6, 1); },  // five rows, seven keys
      [](AttendRequest& r) { r.positions = Positions{.offsets = {{0}}}; },
      [](AttendRequest& r) { r.positions = Positions{.alignment = CausalAlignment::kTopLeft, .offsets = {{0, 0}}}; },
      [](AttendRequest& r) {
        r.mask.causal = CausalAlignment::kTopLeft;
        r.positions = Positions{.alignment = CausalAlignment::kTopLeft};
      },
      [](AttendRequest& r) { r.mask.query_lengths = {{5}}; },
      [](AttendRequest& r) { r.mask.query_lengths = {{5, 6}}; },
      [](AttendRequest& r) { r.mask.query_lengths = {{5, -1}}; },
      [](AttendRequest& r) { r.mask.segments = SegmentIds{.query = Ids({2, 5}), .key = Ids({2, 5})}; },
      [](AttendRequest& r) { r.mask.segments = SegmentIds{.query = Ids({5}), .key = Ids({7})}; },
      [](AttendRequest& r) { r.mask.segments = SegmentIds{.query = View({2, 5}), .key = Ids({2, 7})}; },
      [](AttendRequest& r) { r.mask.blocks = Blocks(0, 4, {3, 2}); },
      [](AttendRequest& r) { r.mask.blocks = Blocks(2, 0, {3, 2}); },
      [](AttendRequest& r) { r.mask.blocks = Blocks(2, 4, {2, 2}); },
      [](AttendRequest& r) { r.mask.blocks = Blocks(2, 4, {3, 3}); },
      [](AttendRequest& r) { r.bias = View({5, 7}, ElementType::kFloat16); },
      [](AttendRequest& r) { r.bias = View({4, 7}); },
      [](AttendRequest& r) { r.bias = View({5, 8}); },
      [](AttendRequest& r) { r.sinks = std::vector<float>(5); },
      [](AttendRequest& r) { r.sinks = std::vector<float>(6, std::numeric_limits<float>::quiet_NaN()); },
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

// All that a request may have, in shapes that go together.
TEST(ProblemSizesTest, OptionsThatGoTogether) {
  AttendRequest request = Request();
  request.mask = {.causal = CausalAlignment::kUnspecified,
                  .causal_prefix_lengths = {{0, 7}},
                  .key_lengths = {{7, 0}},
                  .boolean = View({5, 6}, ElementType::kBool),
                  .query_lengths = {{0, 5}},
                  .window = SlidingWindow{.left = 0},
                  .segments = SegmentIds{.query = Ids({2, 5}), .key = Ids({2, 7})},
                  .blocks = Blocks(2, 4, {1, 6, 3, 2})};
  request.positions = Positions{.offsets = {{-3, 4}}};
  request.bias = View({6, 1, 2});
  request.alibi_slopes = std::vector<float>(6, 0.5F);
  request.sinks = std::vector<float>(6, -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(SizesOf(request).has_value());
  // A block may be larger than all.
  request.mask.blocks = Blocks(1000, std::numeric_limits<std::int64_t>::max(), {1, 1});
  EXPECT_TRUE(SizesOf(request).has_value());
}

TEST(ProblemSizesTest, WhatIsForTheWholeIsNotCut) {
  AttendRequest request = Request();
  request.summaries.entropy = true;
  EXPECT_FALSE(MayBeCut(request));
  EXPECT_FALSE(SizesOf(request).has_value());
  request.summaries = {};
  request.ragged = RaggedBatch{.query_offsets = {0, 5}, .key_offsets = {0, 7}};
  EXPECT_FALSE(MayBeCut(request));
  EXPECT_FALSE(SizesOf(request).has_value());
}

TEST(ProblemSizesTest, PlacesOfRows) {
  AttendRequest request = Request();
  const ProblemSizes sizes = SizesOf(request).value();
  EXPECT_FALSE(CountsPositions(request));
  request.mask.causal = CausalAlignment::kTopLeft;
  EXPECT_TRUE(CountsPositions(request));
  EXPECT_EQ(PositionOffset(request, sizes, 1), 0);
  request.mask.causal = CausalAlignment::kBottomRight;
  EXPECT_EQ(PositionOffset(request, sizes, 1), 2);
  request.mask = {.causal_offsets = {{3, -4}}};
  EXPECT_EQ(PositionOffset(request, sizes, 0), 3);
  EXPECT_EQ(PositionOffset(request, sizes, 1), -4);
  request.mask = {.window = SlidingWindow{}};
  EXPECT_TRUE(CountsPositions(request));
  request.positions = Positions{.alignment = CausalAlignment::kBottomRight};
  EXPECT_EQ(PositionOffset(request, sizes, 0), 2);
  request.positions = Positions{.offsets = {{5, -6}}};
  EXPECT_EQ(PositionOffset(request, sizes, 1), -6);
  // As far as it matters.
  request.positions =
      Positions{.offsets = {{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}}};
  EXPECT_EQ(PositionOffset(request, sizes, 0), -(std::int64_t{1} << 52));
  EXPECT_EQ(PositionOffset(request, sizes, 1), std::int64_t{1} << 52);
}

TEST(ProblemSizesTest, KeysThatARowSees) {
  AttendRequest request = Request();
  const ProblemSizes sizes = SizesOf(request).value();
  const auto visible = [&](std::int64_t batch, std::int64_t row) { return VisibleKeys(request, sizes, batch, row); };
  EXPECT_EQ(visible(0, 0), (Range{0, 7}));
  request.mask.key_lengths = {{4, 0}};
  EXPECT_EQ(visible(0, 0), (Range{0, 4}));
  EXPECT_EQ(visible(1, 4), (Range{0, 0}));
  request.mask.causal_offsets = {{-1, 0}};
  EXPECT_EQ(visible(0, 0), (Range{0, 0}));
  EXPECT_EQ(visible(0, 2), (Range{0, 2}));
  EXPECT_EQ(visible(0, 4), (Range{0, 4}));
  request.mask.causal_prefix_lengths = {{3, 0}};
  EXPECT_EQ(visible(0, 0), (Range{0, 3}));
  EXPECT_EQ(visible(0, 4), (Range{0, 4}));
}

TEST(ProblemSizesTest, KeysInAWindow) {
  AttendRequest request = Request();
  const ProblemSizes sizes = SizesOf(request).value();
  const auto visible = [&](std::int64_t row) { return VisibleKeys(request, sizes, 0, row); };
  request.mask.window = SlidingWindow{.left = 1, .right = 2};
  request.positions = Positions{.offsets = {{1, 0}}};
  EXPECT_EQ(visible(0), (Range{0, 4}));
  EXPECT_EQ(visible(3), (Range{3, 7}));
  EXPECT_EQ(visible(4), (Range{4, 7}));
  request.mask.key_lengths = {{3, 0}};
  EXPECT_EQ(visible(3).size(), 0);
  request.mask.window = SlidingWindow{.left = std::numeric_limits<std::int64_t>::max()};
  EXPECT_EQ(visible(4), (Range{0, 3}));
  request.mask.window = SlidingWindow{.right = 0};
  request.positions = Positions{.offsets = {{-2, 0}}};
  EXPECT_EQ(visible(1), (Range{0, 0}));
  EXPECT_EQ(visible(2), (Range{0, 1}));
}

TEST(ProblemSizesTest, KeysThatANarrowMaskReaches) {
  AttendRequest request = Request();
  const ProblemSizes sizes = SizesOf(request).value();
  EXPECT_FALSE(HasOtherMasks(request));
  request.mask.boolean = View({5, 4}, ElementType::kBool);
  EXPECT_TRUE(HasOtherMasks(request));
  EXPECT_EQ(VisibleKeys(request, sizes, 0, 0), (Range{0, 4}));
  request.bias = View({1, 3});
  EXPECT_EQ(VisibleKeys(request, sizes, 0, 0), (Range{0, 3}));
  request.bias = View({5, 1});
  EXPECT_EQ(VisibleKeys(request, sizes, 0, 0), (Range{0, 4}));
}

}  // namespace
}  // namespace attnd
