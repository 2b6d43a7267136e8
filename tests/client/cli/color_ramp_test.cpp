#include "client/cli/color_ramp.h"

#include <gtest/gtest.h>

namespace attnd::cli {
namespace {

double Luminance(const Rgb& color) { return 0.2126 * color.red + 0.7152 * color.green + 0.0722 * color.blue; }

TEST(ColorRamp, GetsBrighterAllTheWay) {
  for (int i = 1; i <= 1000; ++i) {
    EXPECT_GE(Luminance(RampColor(i / 1000.0)) + 0.8, Luminance(RampColor((i - 1) / 1000.0))) << i;  // rounding
  }
  EXPECT_LT(Luminance(RampColor(0)), 30);
  EXPECT_GT(Luminance(RampColor(1)), 200);
}

// Of the 256 colours that Matplotlib publishes, rounded to 8 bits, some that lie between our points.
TEST(ColorRamp, IsViridis) {
  const struct {
    int index;
    Rgb color;
  } published[] = {{40, {69, 55, 129}}, {100, {42, 118, 142}}, {200, {112, 207, 87}}, {230, {189, 223, 38}}};
  for (const auto& [index, color] : published) {
    const Rgb ours = RampColor(index / 255.0);
    EXPECT_NEAR(ours.red, color.red, 6) << index;
    EXPECT_NEAR(ours.green, color.green, 6) << index;
    EXPECT_NEAR(ours.blue, color.blue, 6) << index;
  }
}

TEST(ColorRamp, EndsAtItsEnds) {
  EXPECT_EQ(RampColor(-1), kRamp.front());
  EXPECT_EQ(RampColor(2), kRamp.back());
}

}  // namespace
}  // namespace attnd::cli
