// The scale, scores far from zero, and magnitudes near the ends of float32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::ElementType;

class ScaleTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(double spread = 1) {
    const Sizes sizes = {.query_heads = 2, .query_rows = 20, .keys = 560, .head_size = 32, .value_head_size = 32};
    return MakeCase({.sizes = sizes, .element_type = GetParam(), .spread = spread}, random_);
  }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Scale, ScaleTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

TEST_P(ScaleTest, GivenZeroNegativeAndTiny) {
  for (const double scale : {1.0, 0.3, 0.0, -0.0, -0.5, 1e-3, 1e-30, 1e-45}) {
    AttentionCase attention = Make();
    attention.description.scale = scale;
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(ScaleTest, ZeroIsTheMeanOfTheVisibleValues) {
  AttentionCase attention = Make();
  attention.description.scale = 0;
  attention.description.mask.key_lengths = {{7}};
  const Answer answer = Attend(SharedEngine(), attention);
  EXPECT_FLOAT_EQ(static_cast<float>(answer.weights[6]), 1.0F / 7);
  EXPECT_EQ(answer.weights[7], 0);
}

TEST_P(ScaleTest, ScoresOfTenThousandDoNotOverflow) {
  for (const double scale : {10000.0 / 15, -10000.0 / 15}) {  // q·k of 32 normal numbers comes to some ±15
    AttentionCase attention = Make();
    attention.description.scale = scale;
    const Answer answer = Attend(SharedEngine(), attention);
    EXPECT_TRUE(std::all_of(answer.output.begin(), answer.output.end(), [](double n) { return std::isfinite(n); }));
    EXPECT_TRUE(std::any_of(answer.log_sum_exp.begin(), answer.log_sum_exp.end(), [](double n) { return n > 9000; }));
    ExpectCorrect(attention, answer);
  }
}

TEST_P(ScaleTest, AMaximumThatGrowsOrShrinksFromTileToTile) {
  for (const double direction : {1.0, -1.0}) {
    AttentionCase attention = Make();
    for (std::size_t i = 0; i < attention.query.size(); i += 32) attention.query[i] = 8;
    for (std::size_t j = 0; j < 560; ++j) attention.key[j * 32] = direction * std::floor(static_cast<double>(j) / 16);
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(ScaleTest, EveryRowOfWeightsSumsToOne) {
  AttentionCase attention = Make();
  const Answer answer = Attend(SharedEngine(), attention);
  for (auto row = answer.weights.begin(); row != answer.weights.end(); row += 560) {
    EXPECT_NEAR(std::accumulate(row, row + 560, 0.0), 1, 2e-6);
    EXPECT_GE(*std::min_element(row, row + 560), 0);
  }
}

// 3·10³⁸ is near the end of float32 and bfloat16, as 6·10⁴ is of float16: the mean of such values is one, though their
// sum is not.
TEST_P(ScaleTest, ValuesNearTheLargest) {
  AttentionCase attention = Make();
  const double largest = GetParam() == ElementType::kFloat16 ? 65504 : std::ldexp(1.75, 127);
  for (double& value : attention.value) value = largest;
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

TEST(Float32ScaleTest, NearTheLargest) {
  Random random = SeededRandom();
  const Sizes sizes = {.query_rows = 20, .keys = 30, .head_size = 32, .value_head_size = 32};
  AttentionCase attention = MakeCase({.sizes = sizes}, random);
  for (double& number : attention.query) number = static_cast<float>(number * 1e-18);
  for (double& number : attention.key) number = static_cast<float>(number * 1e-18);
  for (const double scale : {1e36, 1e38}) {
    attention.description.scale = scale;
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

}  // namespace
}  // namespace attnd::test
