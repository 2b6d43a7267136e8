// Each of what changes scores alone: bias, ALiBi, soft cap and sinks.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::ElementType;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class ModifierTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(const Sizes& sizes) { return MakeCase({.sizes = sizes, .element_type = GetParam()}, random_); }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Modifiers, ModifierTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

constexpr Sizes kSizes = {.batch = 2,
                          .query_heads = 4,
                          .key_value_heads = 2,
                          .query_rows = 70,
                          .keys = 550,
                          .head_size = 16,
                          .value_head_size = 32};

TEST_P(ModifierTest, BiasInEveryBroadcastAndType) {
  const std::vector<core::Shape> shapes = {{},        {1},       {550},          {70, 1},        {1, 550},
                                           {70, 550}, {4, 1, 1}, {4, 70, 550},   {2, 1, 1, 550}, {2, 4, 70, 550},
                                           {70, 7},   {1, 512},  {2, 1, 70, 549}};
  for (const core::Shape& shape : shapes) {
    for (const ElementType type : {ElementType::kFloat32, GetParam()}) {
      AttentionCase attention = Make(kSizes);
      AddBias(attention, type, shape, 0.3, random_);
      ExpectCorrect(attention, Attend(SharedEngine(), attention));
    }
  }
}

TEST_P(ModifierTest, ABiasThatIsNotFinite) {
  AttentionCase attention = Make({.query_rows = 3, .keys = 20, .head_size = 8, .value_head_size = 32});
  AddBias(attention, ElementType::kFloat32, {3, 20}, 0, random_);
  std::fill_n(attention.bias.begin(), 20, -kInfinity);                // an empty row
  attention.bias[20 + 5] = std::numeric_limits<double>::quiet_NaN();  // visible, so that the row is NaN
  attention.bias[40] = attention.bias[59] = -kInfinity;
  const Answer answer = Attend(SharedEngine(), attention);
  ExpectCorrect(attention, answer);
  EXPECT_EQ(answer.empty_rows, 1);
}

TEST_P(ModifierTest, AlibiCountsFromTheRowsPlace) {
  for (const core::PositionOptions& positions :
       {core::PositionOptions{.alignment = core::Alignment::kTopLeft, .offsets = {}},
        core::PositionOptions{.alignment = core::Alignment::kBottomRight, .offsets = {}},
        core::PositionOptions{.alignment = {}, .offsets = {{-40, 1000}}}}) {
    AttentionCase attention = Make(kSizes);
    attention.description.positions = positions;
    // The slopes of the paper for four heads, and one of the other sign.
    attention.description.modifiers.alibi_slopes = {0.25F, 0.0625F, -0.015625F, 0.00390625F};
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(ModifierTest, SoftCap) {
  for (const double cap : {0.1, 3.0, 50.0, 1e30}) {
    AttentionCase attention = MakeCase({.sizes = kSizes, .element_type = GetParam(), .spread = 3}, random_);
    attention.description.modifiers.soft_cap = cap;
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(ModifierTest, SoftCapKeepsANan) {
  AttentionCase attention = Make({.query_rows = 2, .keys = 20, .head_size = 8, .value_head_size = 32});
  attention.description.modifiers.soft_cap = 5;
  attention.query[3] = std::numeric_limits<double>::quiet_NaN();
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

TEST_P(ModifierTest, BiasBeforeAndAfterTheSoftCapDiffer) {
  AttentionCase attention = Make(kSizes);
  AddBias(attention, ElementType::kFloat32, {70, 550}, 0.1, random_);
  attention.description.positions.alignment = core::Alignment::kBottomRight;
  attention.description.modifiers.alibi_slopes = {0.1F, 0.2F, 0.3F, 0.4F};
  attention.description.modifiers.soft_cap = 2;
  const Answer after = Attend(SharedEngine(), attention);
  ExpectCorrect(attention, after);
  attention.description.modifiers.bias_place = core::BiasPlace::kBeforeSoftCap;
  const Answer before = Attend(SharedEngine(), attention);
  ExpectCorrect(attention, before);
  EXPECT_GT(LargestDifference(before.weights, after.weights), 0.01);
}

TEST_P(ModifierTest, SinksTakeWeightFromAllKeys) {
  AttentionCase attention = Make(kSizes);
  attention.description.modifiers.sinks = {-3, 0, 2.5F, -std::numeric_limits<float>::infinity()};
  const Answer answer = Attend(SharedEngine(), attention);
  ExpectCorrect(attention, answer);
  const auto sum_of_row = [&](std::int64_t head) {
    const auto row = answer.weights.begin() + head * kSizes.query_rows * kSizes.keys;
    return std::accumulate(row, row + kSizes.keys, 0.0);
  };
  EXPECT_LT(sum_of_row(2), 0.999);
  EXPECT_NEAR(sum_of_row(3), 1, 1e-5);
}

TEST_P(ModifierTest, ALargeSinkLeavesNothing) {
  AttentionCase attention = Make(kSizes);
  attention.description.modifiers.sinks = {1000, 1000, 88, 0};
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

// A row that sees no key still has its sink: its log-sum-exp says so, whatever the output is.
TEST_P(ModifierTest, SinksOfEmptyRows) {
  for (const core::EmptyRow empty_row : {core::EmptyRow::kZero, core::EmptyRow::kMeanOfAllValues}) {
    AttentionCase attention = Make(kSizes);
    attention.description.mask.key_lengths = {{0, 550}};
    attention.description.modifiers.sinks = {-1, 0, 1, 2};
    attention.description.empty_row = empty_row;
    const Answer answer = Attend(SharedEngine(), attention);
    ExpectCorrect(attention, answer);
    EXPECT_EQ(answer.empty_rows, 4 * 70);
    EXPECT_FLOAT_EQ(static_cast<float>(answer.log_sum_exp[3 * 70]), 2);
  }
}

}  // namespace
}  // namespace attnd::test
