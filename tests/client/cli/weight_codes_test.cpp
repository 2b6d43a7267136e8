#include "client/cli/weight_codes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "client/cli/attention_map.h"

namespace attnd::cli {
namespace {

class WeightCodesTest : public testing::TestWithParam<CodeBits> {};

TEST_P(WeightCodesTest, AreAsFarOffAsTheySayAtMost) {
  const double steps = CodeSteps(GetParam());
  for (const double largest : {1.0, 0.29, 1e-3}) {
    for (int i = 0; i <= 10000; ++i) {
      const double weight = largest * std::pow(i / 10000.0, 3);
      const double share = CodeOf(weight, largest, GetParam()) / steps;
      const double bound = std::sqrt(weight * largest) / steps + largest / (4 * steps * steps);
      EXPECT_LE(std::abs(largest * share * share - weight), bound * (1 + 1e-9)) << weight << " of " << largest;
    }
  }
}

TEST_P(WeightCodesTest, SayWhatIsNoWeight) {
  const std::uint32_t steps = CodeSteps(GetParam());
  EXPECT_EQ(CodeOf(0, 1, GetParam()), 0);
  EXPECT_EQ(CodeOf(1, 1, GetParam()), steps);
  EXPECT_EQ(CodeOf(0, 0, GetParam()), 0);
  EXPECT_EQ(CodeOf(std::numeric_limits<double>::quiet_NaN(), 1, GetParam()), steps + 1);
  EXPECT_EQ(CodeOf(std::numeric_limits<double>::infinity(), 1, GetParam()), steps + 1);
  EXPECT_EQ(CodeOf(kUnknownWeight, 1, GetParam()), steps + 2);
  EXPECT_EQ(steps + 2, (1U << static_cast<unsigned>(GetParam())) - 1);
}

INSTANTIATE_TEST_SUITE_P(Bits, WeightCodesTest, testing::Values(CodeBits::k8, CodeBits::k16));

TEST(WeightCodes, AreLittleEndian) {
  EXPECT_EQ(EncodeWeights({0.25, 1, kUnknownWeight}, 1, CodeBits::k16), std::string("\xff\x7f\xfd\xff\xff\xff", 6));
  EXPECT_EQ(EncodeWeights({0.25, 1, kUnknownWeight}, 1, CodeBits::k8), std::string("\x7f\xfd\xff", 3));
}

}  // namespace
}  // namespace attnd::cli
