// Conversions of 16-bit elements, against those that the tests have written apart from them.
#include "client/cpp/small_float.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "tests/support/seed.h"
#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

class ClientSmallFloatTest : public ::testing::TestWithParam<ElementType> {
 protected:
  static core::ElementType CoreType() { return static_cast<core::ElementType>(GetParam()); }

  static void ExpectRounded(float number) {
    std::uint16_t element = 0;
    FromFloat32(GetParam(), &number, 1, &element);
    const double expected = RoundTo(CoreType(), number);
    const double found = Decode(CoreType(), reinterpret_cast<const std::uint8_t*>(&element), 1)[0];
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(found)) << number;
    } else {
      EXPECT_EQ(found, expected) << number;
      EXPECT_EQ(std::signbit(found), std::signbit(number)) << number;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Types, ClientSmallFloatTest, ::testing::Values(ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(ElementTypeName(type.param)); });

TEST_P(ClientSmallFloatTest, EveryElementAsFloat32AndBack) {
  for (int bits = 0; bits < 1 << 16; ++bits) {
    const auto element = static_cast<std::uint16_t>(bits);
    float number = 0;
    ToFloat32(GetParam(), &element, 1, &number);
    const double expected = Decode(CoreType(), reinterpret_cast<const std::uint8_t*>(&element), 1)[0];
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(number)) << bits;
      continue;
    }
    ASSERT_EQ(number, expected) << bits;
    std::uint16_t back = 0;
    FromFloat32(GetParam(), &number, 1, &back);
    ASSERT_EQ(back, element);
  }
}

TEST_P(ClientSmallFloatTest, RoundsToTheNearestEven) {
  // Every element's neighbourhood: halfway to the next one, and the float32 on each side of that.
  for (int bits = 0; bits < 0x7fff; ++bits) {
    const std::vector<std::uint16_t> pair = {static_cast<std::uint16_t>(bits), static_cast<std::uint16_t>(bits + 1)};
    float numbers[2];
    ToFloat32(GetParam(), pair.data(), 2, numbers);
    if (!std::isfinite(numbers[0]) || !std::isfinite(numbers[1])) continue;
    const float half = numbers[0] + (numbers[1] - numbers[0]) / 2;
    for (const float number : {half, std::nextafter(half, 0.0F), std::nextafter(half, numbers[1])}) {
      ExpectRounded(number);
      ExpectRounded(-number);
    }
  }
}

TEST_P(ClientSmallFloatTest, AnyFloat32) {
  Random random = SeededRandom();
  for (int n = 0; n < 100000; ++n) ExpectRounded(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
}

}  // namespace
}  // namespace attnd::test
