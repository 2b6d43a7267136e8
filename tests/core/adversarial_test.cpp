// Inputs on which attention goes wrong easily. The bound on the error is that of every other problem.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"
#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

using core::ElementType;

class AdversarialTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(const Sizes& sizes, double spread = 1) {
    return MakeCase({.sizes = sizes, .element_type = GetParam(), .spread = spread}, random_);
  }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Adversarial, AdversarialTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

constexpr Sizes kSizes = {.query_rows = 70, .keys = 1042, .head_size = 33, .value_head_size = 40};

// All weights go to one key, from whichever tile it comes.
TEST_P(AdversarialTest, OneHugeKey) {
  for (const std::int64_t huge : {0, 511, 512, 1041}) {
    AttentionCase attention = Make(kSizes);
    for (std::int64_t d = 0; d < kSizes.head_size; ++d) {
      double& element = attention.key[static_cast<std::size_t>(huge * kSizes.head_size + d)];
      element = RoundTo(GetParam(), element * 1000);
    }
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(AdversarialTest, OneHugeKeyUnderASoftCapBesideASink) {
  AttentionCase attention = Make(kSizes);
  std::fill_n(attention.key.begin() + 600 * kSizes.head_size, kSizes.head_size, 1000.0);
  attention.description.modifiers.soft_cap = 30;
  attention.description.modifiers.sinks = {25};
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

// Every score of a row is the same, so every weight is 1/Sk.
TEST_P(AdversarialTest, ConstantRows) {
  AttentionCase attention = Make(kSizes);
  std::ranges::fill(attention.key, 0.5);
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
  std::ranges::fill(attention.value, -0.25);
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

TEST_P(AdversarialTest, LargeLogitsWithEveryModifier) {
  AttentionCase attention = Make(kSizes, 8);
  AddBias(attention, ElementType::kFloat32, {70, 1042}, 0.1, random_);
  for (double& element : attention.bias) element = RoundTo(ElementType::kFloat32, element * 300);
  attention.description.positions.alignment = core::Alignment::kBottomRight;
  attention.description.modifiers.alibi_slopes = {2};
  attention.description.modifiers.sinks = {100};
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
  attention.description.modifiers.soft_cap = 200;
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

// Scores far below those before them, and far above.
TEST_P(AdversarialTest, ABiasThatRisesAndFallsSteeply) {
  for (const double slope : {-10.0, 10.0}) {
    AttentionCase attention = Make(kSizes);
    AddBias(attention, ElementType::kFloat32, {1042}, 0, random_);
    for (std::size_t j = 0; j < attention.bias.size(); ++j) attention.bias[j] = slope * static_cast<double>(j);
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(AdversarialTest, OneQueryAndOneKey) {
  for (const bool one_key : {true, false}) {
    AttentionCase attention =
        Make({.batch = 3, .query_rows = 1, .keys = one_key ? 1 : 600, .head_size = 7, .value_head_size = 40});
    attention.description.positions.offsets = {{0, 5, -5}};
    attention.description.modifiers.alibi_slopes = {0.5F};
    attention.description.modifiers.sinks = {0};
    attention.description.mask.window = core::WindowOptions{.left = 3, .right = {}};
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

}  // namespace
}  // namespace attnd::test
