// Ranges of keys by hand: what weighs how much, what is empty, and what is not finite.
#include "client/cpp/key_range_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace attnd {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::IsNan;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A range's result for one row with two values.
struct Part {
  Range keys;
  std::vector<float> output;
  float log_sum_exp;
};

// One row of ten keys.
class KeyRangeMergeTest : public ::testing::Test {
 protected:
  static KeyRangeMerge Merge(const std::vector<Part>& parts, EmptyRow empty_row = EmptyRow::kZero) {
    KeyRangeMerge merge({.query_heads = 1, .query_rows = 1, .value_head_size = 2, .keys = 10}, Layout::kBhsd,
                        empty_row);
    for (const Part& part : parts) merge.Add(part.keys, part.output.data(), &part.log_sum_exp);
    return merge;
  }
  static std::vector<float> Output(const KeyRangeMerge& merge) {
    std::vector<float> output(2);
    merge.GetOutput(output.data());
    return output;
  }
  static float LogSumExp(const KeyRangeMerge& merge) {
    float log_sum_exp = 0;
    merge.GetLogSumExp(&log_sum_exp);
    return log_sum_exp;
  }
  static std::vector<float> Weights(const KeyRangeMerge& merge, std::vector<float> weights) {
    merge.ScaleWeights(weights.data(), 10);
    return weights;
  }
};

TEST_F(KeyRangeMergeTest, ARangeWeighsItsSumOfExponentials) {
  const auto merge = Merge({{{0, 4}, {1, 10}, std::log(1.0F)}, {{4, 10}, {5, 50}, std::log(3.0F)}});
  EXPECT_THAT(Output(merge), ElementsAre(FloatEq(4), FloatEq(40)));
  EXPECT_FLOAT_EQ(LogSumExp(merge), std::log(4.0F));
  EXPECT_THAT(Weights(merge, {1, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 0}),
              ElementsAre(FloatEq(0.25), 0, 0, 0, FloatEq(0.375), FloatEq(0.375), 0, 0, 0, 0));
  EXPECT_EQ(merge.CountEmptyRows(), 0);
}

TEST_F(KeyRangeMergeTest, LargeExponentsDoNotOverflow) {
  for (const float offset : {-3000.0F, 3000.0F}) {
    const auto merge = Merge({{{0, 5}, {1, 0}, offset}, {{5, 10}, {3, 0}, offset}});
    EXPECT_THAT(Output(merge), ElementsAre(FloatEq(2), 0));
    EXPECT_FLOAT_EQ(LogSumExp(merge), offset + std::log(2.0F));
  }
}

TEST_F(KeyRangeMergeTest, AnEmptyRangeWeighsNothing) {
  for (const EmptyRow empty_row : {EmptyRow::kZero, EmptyRow::kMeanOfAllValues}) {
    const float mean = empty_row == EmptyRow::kZero ? 0 : 7;
    const float share = empty_row == EmptyRow::kZero ? 0 : 0.2F;
    const auto merge = Merge({{{0, 5}, {mean, mean}, -kInfinity}, {{5, 10}, {3, 4}, 1}}, empty_row);
    EXPECT_THAT(Output(merge), ElementsAre(3, 4));
    EXPECT_EQ(LogSumExp(merge), 1);
    EXPECT_THAT(Weights(merge, {share, share, share, share, share, 0, 0, 1, 0, 0}),
                ElementsAre(0, 0, 0, 0, 0, 0, 0, 1, 0, 0));
    EXPECT_EQ(merge.CountEmptyRows(), 0);
    const auto last = Merge({{{0, 5}, {3, 4}, 1}, {{5, 10}, {mean, mean}, -kInfinity}}, empty_row);
    EXPECT_THAT(Output(last), ElementsAre(3, 4));
  }
}

TEST_F(KeyRangeMergeTest, OnlyEmptyRangesAreAnEmptyRow) {
  const auto zero = Merge({{{0, 4}, {0, 0}, -kInfinity}, {{4, 10}, {0, 0}, -kInfinity}});
  EXPECT_THAT(Output(zero), ElementsAre(0, 0));
  EXPECT_EQ(LogSumExp(zero), -kInfinity);
  EXPECT_THAT(Weights(zero, std::vector<float>(10)), ::testing::Each(0));
  EXPECT_EQ(zero.CountEmptyRows(), 1);
}

TEST_F(KeyRangeMergeTest, MeansCountByTheirKeys) {
  const auto mean = Merge({{{0, 4}, {1, 10}, -kInfinity}, {{4, 10}, {2, 20}, -kInfinity}}, EmptyRow::kMeanOfAllValues);
  EXPECT_THAT(Output(mean), ElementsAre(FloatEq(1.6F), FloatEq(16)));
  EXPECT_EQ(LogSumExp(mean), -kInfinity);
  constexpr float kOf4 = 1.0F / 4;
  constexpr float kOf6 = 1.0F / 6;
  EXPECT_THAT(Weights(mean, {kOf4, kOf4, kOf4, kOf4, kOf6, kOf6, kOf6, kOf6, kOf6, kOf6}),
              ::testing::Each(FloatEq(0.1F)));
  EXPECT_EQ(mean.CountEmptyRows(), 1);
}

TEST_F(KeyRangeMergeTest, ANanScoreSpoilsTheRow) {
  for (const bool first : {true, false}) {
    const Part spoilt = {first ? Range{0, 5} : Range{5, 10}, {kNan, kInfinity}, kNan};
    const Part good = {first ? Range{5, 10} : Range{0, 5}, {1, 2}, 3};
    const auto merge = Merge(first ? std::vector{spoilt, good} : std::vector{good, spoilt});
    EXPECT_THAT(Output(merge), ElementsAre(IsNan(), IsNan()));
    EXPECT_THAT(LogSumExp(merge), IsNan());
    EXPECT_THAT(Weights(merge, std::vector<float>(10, 0.2F)), ::testing::Each(IsNan()));
  }
}

TEST_F(KeyRangeMergeTest, AValueThatIsNotFiniteReachesItsDimensionHoweverLittleItWeighs) {
  for (const bool first : {true, false}) {
    const Part spoilt = {first ? Range{0, 5} : Range{5, 10}, {kInfinity, 1}, -1000};
    const Part good = {first ? Range{5, 10} : Range{0, 5}, {2, 3}, 1000};
    EXPECT_THAT(Output(Merge(first ? std::vector{spoilt, good} : std::vector{good, spoilt})),
                ElementsAre(kInfinity, 3));
  }
  EXPECT_THAT(Output(Merge({{{0, 5}, {kInfinity, 1}, 0}, {{5, 10}, {-kInfinity, 1}, 0}})), ElementsAre(IsNan(), 1));
}

TEST_F(KeyRangeMergeTest, ScoresOfMinusInfinityWeighNothingUnlessThereAreNoOthers) {
  const Part nothing = {{0, 5}, {kNan, kNan}, -kInfinity};
  EXPECT_THAT(Output(Merge({nothing, {{5, 10}, {1, 2}, 0}})), ElementsAre(1, 2));
  const auto only = Merge({nothing, {{5, 10}, {kNan, kNan}, -kInfinity}});
  EXPECT_THAT(Output(only), ElementsAre(IsNan(), IsNan()));
  EXPECT_EQ(only.CountEmptyRows(), 0);
}

// Two heads with one row of one value each, and a sink each.
KeyRangeMerge MergeWithSinks(EmptyRow empty_row, std::vector<float> sinks) {
  return {{.query_heads = 2, .query_rows = 1, .value_head_size = 1, .keys = 10},
          Layout::kBhsd,
          empty_row,
          std::move(sinks)};
}

TEST_F(KeyRangeMergeTest, ASinkWeighsInOnce) {
  auto merge = MergeWithSinks(EmptyRow::kZero, {std::log(4.0F), -kInfinity});
  const float log_sum_exps[][2] = {{std::log(1.0F), std::log(1.0F)}, {std::log(3.0F), std::log(3.0F)}};
  const float outputs[][2] = {{1, 1}, {5, 5}};
  merge.Add({0, 4}, outputs[0], log_sum_exps[0]);
  merge.Add({4, 10}, outputs[1], log_sum_exps[1]);
  float output[2];
  merge.GetOutput(output);
  EXPECT_THAT(output, ElementsAre(FloatEq(2), FloatEq(4)));
  float log_sum_exp[2];
  merge.GetLogSumExp(log_sum_exp);
  EXPECT_THAT(log_sum_exp, ElementsAre(FloatEq(std::log(8.0F)), FloatEq(std::log(4.0F))));
  std::vector<float> weights(20, 0.25F);
  merge.ScaleWeights(weights.data(), 10);
  EXPECT_FLOAT_EQ(weights[0], 0.25F / 8);
  EXPECT_FLOAT_EQ(weights[9], 0.25F * 3 / 8);
  EXPECT_FLOAT_EQ(weights[19], 0.25F * 3 / 4);
}

TEST_F(KeyRangeMergeTest, ASinkCountsInARowThatSeesNoKeyButDoesNotFillIt) {
  for (const EmptyRow empty_row : {EmptyRow::kZero, EmptyRow::kMeanOfAllValues}) {
    const float mean = empty_row == EmptyRow::kZero ? 0 : 7;
    auto merge = MergeWithSinks(empty_row, {2, 2000});
    for (const Range keys : {Range{0, 4}, Range{4, 10}}) {
      merge.Add(keys, std::vector{mean, mean}.data(), std::vector{-kInfinity, -kInfinity}.data());
    }
    float output[2];
    merge.GetOutput(output);
    EXPECT_THAT(output, ElementsAre(mean, mean));
    float log_sum_exp[2];
    merge.GetLogSumExp(log_sum_exp);
    EXPECT_THAT(log_sum_exp, ElementsAre(2, 2000));
    EXPECT_EQ(merge.CountEmptyRows(), 2);
  }
}

TEST_F(KeyRangeMergeTest, PaddingIsNoEmptyRowAndHasNoSink) {
  KeyRangeMerge merge({.query_heads = 1, .query_rows = 3, .value_head_size = 1, .keys = 2, .query_length = 1},
                      Layout::kBhsd, EmptyRow::kMeanOfAllValues, {5});
  const std::vector<float> nothing(3, -kInfinity);
  merge.Add({0, 1}, std::vector<float>{4, 0, 0}.data(), nothing.data());
  merge.Add({1, 2}, std::vector<float>{6, 0, 0}.data(), nothing.data());
  std::vector<float> numbers(3);
  merge.GetOutput(numbers.data());
  EXPECT_THAT(numbers, ElementsAre(5, 0, 0));
  merge.GetLogSumExp(numbers.data());
  EXPECT_THAT(numbers, ElementsAre(5, -kInfinity, -kInfinity));
  EXPECT_EQ(merge.CountEmptyRows(), 1);
}

TEST_F(KeyRangeMergeTest, RowsAndHeadsInTheOrderOfTheLayout) {
  // Two heads with three rows of one value: (h, i) as 10·h + i.
  for (const Layout layout : {Layout::kBhsd, Layout::kBshd}) {
    KeyRangeMerge merge({.query_heads = 2, .query_rows = 3, .value_head_size = 1, .keys = 2}, layout, EmptyRow::kZero);
    const std::vector<float> output =
        layout == Layout::kBhsd ? std::vector<float>{0, 1, 2, 10, 11, 12} : std::vector<float>{0, 10, 1, 11, 2, 12};
    const std::vector<float> log_sum_exp = {0, 1, 2, 10, 11, 12};
    merge.Add({0, 1}, output.data(), log_sum_exp.data());
    merge.Add({1, 2}, output.data(), std::vector<float>(6, -kInfinity).data());
    std::vector<float> merged(6);
    merge.GetOutput(merged.data());
    EXPECT_EQ(merged, output);
    merge.GetLogSumExp(merged.data());
    EXPECT_EQ(merged, log_sum_exp);
  }
}

}  // namespace
}  // namespace attnd
