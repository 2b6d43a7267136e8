#include "client/cli/attention_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace attnd::cli {
namespace {

using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

HeatMap ThreeByThree() {
  return {.rows = 3,
          .columns = 3,
          .values = {0.1, 0.2, 0.3, 0.6, 0.5, 0.4, 0, 0, 0.7},
          .row_labels = {"a", "b", "c"},
          .column_labels = {"d", "e", "f"}};
}

TEST(AttentionMap, PoolsByTheLargestAndKeepsTheFirstLabel) {
  const HeatMap pooled = Pool(ThreeByThree(), 2, 1);
  EXPECT_EQ(pooled.rows, 2);
  EXPECT_EQ(pooled.columns, 3);
  EXPECT_THAT(pooled.values, ElementsAre(0.6, 0.5, 0.4, 0, 0, 0.7));
  EXPECT_THAT(pooled.row_labels, ElementsAre("a", "c"));
  EXPECT_THAT(pooled.column_labels, ElementsAre("d", "e", "f"));
  EXPECT_THAT(Pool(ThreeByThree(), 3, 2).values, ElementsAre(0.6, 0.7));
}

TEST(AttentionMap, WhatIsNotFiniteIsNotPooledAway) {
  HeatMap map = ThreeByThree();
  map.values[0] = kNan;
  map.values[8] = kInfinity;
  const HeatMap pooled = Pool(map, 2, 2);
  EXPECT_TRUE(std::isnan(pooled.values[0]));
  EXPECT_EQ(pooled.values[3], kInfinity);
  EXPECT_EQ(LargestWeight(map.values), 0.6);
}

TEST(AttentionMap, AllOfAMapIsTheMap) { EXPECT_EQ(Pool(ThreeByThree(), 1, 1).values, ThreeByThree().values); }

}  // namespace
}  // namespace attnd::cli
