// NaN and infinity in query, key and value: they propagate where they are attended, as the definition says, and nowhere
// else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::ElementType;

const double kNan = std::nan("");
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kHeadSize = 24;
constexpr std::int64_t kRows = 70;    // two query tiles
constexpr std::int64_t kKeys = 1042;  // three key tiles

class NonFiniteTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make() {
    const Sizes sizes = {
        .query_heads = 2, .query_rows = kRows, .keys = kKeys, .head_size = kHeadSize, .value_head_size = kHeadSize};
    return MakeCase({.sizes = sizes, .element_type = GetParam()}, random_);
  }

  static double& Key(AttentionCase& attention, std::int64_t j, std::int64_t d) {
    return attention.key[static_cast<std::size_t>(j * kHeadSize + d)];
  }
  static double& Value(AttentionCase& attention, std::int64_t j, std::int64_t d) {
    return attention.value[static_cast<std::size_t>(j * kHeadSize + d)];
  }
  static double& Query(AttentionCase& attention, std::int64_t h, std::int64_t i, std::int64_t d) {
    return attention.query[static_cast<std::size_t>((h * kRows + i) * kHeadSize + d)];
  }
  static void SpoilKeyAndValue(AttentionCase& attention, std::int64_t j, double number) {
    for (std::int64_t d = 0; d < kHeadSize; ++d) Key(attention, j, d) = Value(attention, j, d) = number;
  }
  static std::int64_t CountNans(const std::vector<double>& numbers) {
    return std::count_if(numbers.begin(), numbers.end(), [](double number) { return std::isnan(number); });
  }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(NonFinite, NonFiniteTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

TEST_P(NonFiniteTest, InPaddingDoesNotReachTheResult) {
  for (const double number : {kNan, kInfinity, -kInfinity}) {
    for (const std::int64_t length : {1, 16, 400, 512, 513, 1000}) {
      AttentionCase attention = Make();
      attention.description.mask.key_lengths = {{length}};
      for (std::int64_t j = length; j < kKeys; ++j) SpoilKeyAndValue(attention, j, number);
      const Answer answer = Attend(SharedEngine(), attention);
      ExpectCorrect(attention, answer);
      EXPECT_EQ(CountNans(answer.output), 0);
    }
  }
}

TEST_P(NonFiniteTest, PastTheDiagonalReachesOnlyTheRowsThatSeeIt) {
  for (const double number : {kNan, kInfinity}) {
    AttentionCase attention = Make();
    attention.description.mask.causal = Causal(core::Alignment::kTopLeft);
    SpoilKeyAndValue(attention, 50, number);  // seen by rows 50 to 69
    attention.description.return_log_sum_exp = false;
    const Answer answer = Attend(SharedEngine(), attention);
    EXPECT_EQ(CountNans(answer.output), 2 * 20 * kHeadSize);
    ExpectCorrect(attention, answer);
  }
}

TEST_P(NonFiniteTest, InTilesThatTheCausalMaskHidesInPart) {
  AttentionCase attention = Make();
  attention.description.mask.causal = Causal(core::Alignment::kBottomRight);  // row i sees keys to 972 + i
  for (std::int64_t j = 982; j < kKeys; ++j) {
    for (std::int64_t d = 0; d < kHeadSize; ++d) Value(attention, j, d) = kNan;
  }
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 2 * 60 * kHeadSize);
  EXPECT_EQ(CountNans(answer.weights), 0);
  ExpectCorrect(attention, answer);
}

TEST_P(NonFiniteTest, BehindABooleanMaskDoesNotReachTheResult) {
  AttentionCase attention = Make();
  AddBooleanMask(attention, {kRows, kKeys}, 0.5, random_);
  for (const std::int64_t j : {0, 17, 511, 512, 800, 1041}) {
    SpoilKeyAndValue(attention, j, j % 2 == 0 ? kNan : kInfinity);
    for (std::int64_t i = 0; i < kRows; ++i) attention.mask[static_cast<std::size_t>(i * kKeys + j)] = 0;
  }
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 0);
  ExpectCorrect(attention, answer);
}

TEST_P(NonFiniteTest, InAKeySpoilsTheRowsThatSeeIt) {
  AttentionCase attention = Make();
  AddBooleanMask(attention, {kRows, kKeys}, 1, random_);
  for (std::int64_t i = 0; i < kRows; i += 2) attention.mask[static_cast<std::size_t>(i * kKeys + 600)] = 0;
  Key(attention, 600, 3) = kNan;
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 2 * (kRows / 2) * kHeadSize);
  EXPECT_EQ(CountNans(answer.log_sum_exp), 2 * (kRows / 2));
  ExpectCorrect(attention, answer);
}

TEST_P(NonFiniteTest, InAQueryRowSpoilsThatRowAlone) {
  for (const std::int64_t row : {0, 3, 63, 64, 69}) {
    AttentionCase attention = Make();
    Query(attention, 1, row, 5) = kNan;
    const Answer answer = Attend(SharedEngine(), attention);
    EXPECT_EQ(CountNans(answer.output), kHeadSize);
    EXPECT_EQ(CountNans(answer.weights), kKeys);
    EXPECT_EQ(CountNans(answer.log_sum_exp), 1);
    ExpectCorrect(attention, answer);
  }
}

TEST_P(NonFiniteTest, InAQueryRowThatSeesNothingDoesNothing) {
  AttentionCase attention = Make();
  attention.description.mask.key_lengths = {{0}};
  for (double& number : attention.query) number = kNan;
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

TEST_P(NonFiniteTest, InAValueReachesItsDimensionAlone) {
  for (const std::int64_t j : {0, 511, 512, 1041}) {
    for (const double number : {kNan, kInfinity, -kInfinity}) {
      AttentionCase attention = Make();
      Value(attention, j, 7) = number;
      const Answer answer = Attend(SharedEngine(), attention);
      const std::int64_t spoilt =
          std::count_if(answer.output.begin(), answer.output.end(), [](double n) { return !std::isfinite(n); });
      EXPECT_EQ(spoilt, 2 * kRows);
      ExpectCorrect(attention, answer);
    }
  }
}

TEST_P(NonFiniteTest, InfinitiesOfBothSignsInADimensionGiveNan) {
  AttentionCase attention = Make();
  Value(attention, 10, 7) = kInfinity;
  Value(attention, 800, 7) = -kInfinity;
  Value(attention, 10, 9) = kInfinity;
  Value(attention, 1000, 9) = kInfinity;
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 2 * kRows);
  ExpectCorrect(attention, answer);
}

TEST_P(NonFiniteTest, AmongAllValuesReachesTheirMeanWhereItIsAskedFor) {
  AttentionCase attention = Make();
  attention.description.mask.causal = Causal(core::Alignment::kTopLeft);
  AddBooleanMask(attention, {kRows, 1}, 0.5, random_);
  Value(attention, kKeys - 1, 7) = kNan;
  Value(attention, kKeys - 1, 8) = -kInfinity;
  Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 0);
  ExpectCorrect(attention, answer);

  attention.description.empty_row = core::EmptyRow::kMeanOfAllValues;
  answer = Attend(SharedEngine(), attention);
  EXPECT_GT(answer.empty_rows, 0);
  EXPECT_EQ(CountNans(answer.output), answer.empty_rows);
  ExpectCorrect(attention, answer);
}

// A score of −∞ beside finite ones has the weight 0, even where it is alone in its tile.
TEST_P(NonFiniteTest, ScoresOfMinusInfinityWeighNothing) {
  AttentionCase attention = Make();
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < kRows; ++i) Query(attention, h, i, 0) = 1;
  }
  for (std::int64_t j = 0; j < 512; ++j) Key(attention, j, 0) = -kInfinity;
  Key(attention, 800, 0) = -kInfinity;
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 0);
  ExpectCorrect(attention, answer);
}

TEST_P(NonFiniteTest, OnlyScoresOfMinusInfinityGiveNanAsTheFormulaDoes) {
  AttentionCase attention = Make();
  attention.description.mask.causal = Causal(core::Alignment::kTopLeft);
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < kRows; ++i) Query(attention, h, i, 0) = 1;
  }
  for (std::int64_t j = 0; j < 20; ++j) Key(attention, j, 0) = -kInfinity;  // all that rows 0 to 19 see
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 2 * 20 * kHeadSize);
  EXPECT_EQ(answer.empty_rows, 0);
  ExpectCorrect(attention, answer);
}

TEST_P(NonFiniteTest, AScoreOfPlusInfinityGivesNanAsTheFormulaDoes) {
  AttentionCase attention = Make();
  attention.description.mask.causal = Causal(core::Alignment::kTopLeft);
  attention.description.return_log_sum_exp = false;
  for (std::int64_t h = 0; h < 2; ++h) {
    for (std::int64_t i = 0; i < kRows; ++i) Query(attention, h, i, 0) = 1;
  }
  Key(attention, 30, 0) = kInfinity;
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_EQ(CountNans(answer.output), 2 * 40 * kHeadSize);
  ExpectCorrect(attention, answer);
}

}  // namespace
}  // namespace attnd::test
