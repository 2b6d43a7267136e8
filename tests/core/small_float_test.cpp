// The conversions that judge the core's, held against numbers worked out by hand.
#include "tests/support/small_float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace attnd::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
using core::ElementType;

TEST(RoundToTest, RoundsTiesToEven) {
  EXPECT_EQ(RoundTo(ElementType::kBfloat16, 1 + std::ldexp(1, -8)), 1);
  EXPECT_EQ(RoundTo(ElementType::kBfloat16, 1 + 3 * std::ldexp(1, -8)), 1 + std::ldexp(1, -6));
  EXPECT_EQ(RoundTo(ElementType::kFloat16, -1 - std::ldexp(1, -11)), -1);
  EXPECT_EQ(RoundTo(ElementType::kFloat32, 1 + std::ldexp(1, -23)), 1 + std::ldexp(1, -23));
  EXPECT_EQ(RoundTo(ElementType::kFloat32, 1 + std::ldexp(1, -24)), 1);
}

TEST(RoundToTest, GoesToInfinityPastTheLargest) {
  EXPECT_EQ(RoundTo(ElementType::kFloat16, 65519), 65504);
  EXPECT_EQ(RoundTo(ElementType::kFloat16, 65520), kInfinity);
  EXPECT_EQ(RoundTo(ElementType::kBfloat16, -3.4e38), -kInfinity);
}

TEST(RoundToTest, KeepsDenormals) {
  EXPECT_EQ(RoundTo(ElementType::kFloat16, std::ldexp(1, -24)), std::ldexp(1, -24));
  EXPECT_EQ(RoundTo(ElementType::kFloat16, std::ldexp(1, -26)), 0);
  EXPECT_EQ(RoundTo(ElementType::kBfloat16, std::ldexp(1, -133)), std::ldexp(1, -133));
}

TEST(EncodeTest, MatchesTheFormats) {
  EXPECT_EQ(Encode(ElementType::kFloat16, {1, -2, 65504, std::ldexp(1, -24), kInfinity}),
            (std::vector<std::uint8_t>{0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0x00, 0x7c}));
  EXPECT_EQ(Encode(ElementType::kBfloat16, {1, -2, -kInfinity}),
            (std::vector<std::uint8_t>{0x80, 0x3f, 0x00, 0xc0, 0x80, 0xff}));
}

TEST(DecodeTest, UndoesEncode) {
  for (const ElementType type : {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16}) {
    std::vector<double> numbers = {0, 1, -1.5, 0.0078125, kInfinity, -kInfinity, 448, std::ldexp(3, -16)};
    EXPECT_EQ(Decode(type, Encode(type, numbers).data(), numbers.size()), numbers);
    const std::vector<std::uint8_t> nan = Encode(type, {std::nan("")});
    EXPECT_TRUE(std::isnan(Decode(type, nan.data(), 1)[0]));
  }
}

}  // namespace
}  // namespace attnd::test
