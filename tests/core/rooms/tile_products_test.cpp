#include "core/kernels/tile_products.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace attnd::core::kernels {
namespace {

using testing::ElementsAre;

// The classes that `rows` rows are computed in, one after the other.
std::vector<std::int64_t> Steps(std::vector<std::int64_t> classes, std::int64_t rows) {
  std::vector<std::int64_t> steps;
  while (rows > 0) {
    steps.push_back(NextRowClass(classes, rows));
    rows -= steps.back();
  }
  return steps;
}

TEST(NextRowClassTest, TakesTheLargestClassThatIsFilled) {
  const std::vector<std::int64_t> classes = {64, 32, 16, 8, 4, 1};
  EXPECT_THAT(Steps(classes, 64), ElementsAre(64));
  EXPECT_THAT(Steps(classes, 44), ElementsAre(32, 8, 4));
  EXPECT_THAT(Steps(classes, 5), ElementsAre(4, 1));
}

TEST(NextRowClassTest, FillsUpWhereSingleRowsWouldBeSlower) {
  const std::vector<std::int64_t> classes = {64, 32, 16, 8, 4, 1};
  EXPECT_THAT(Steps(classes, 1), ElementsAre(1));
  EXPECT_THAT(Steps(classes, 2), ElementsAre(4));
  EXPECT_THAT(Steps(classes, 6), ElementsAre(4, 4));
}

TEST(NextRowClassTest, FillsUpWhereOnlyAFewRowsAreMissing) {
  const std::vector<std::int64_t> classes = {64, 32, 16, 8, 4, 1};
  EXPECT_THAT(Steps(classes, 60), ElementsAre(64));
  EXPECT_THAT(Steps(classes, 45), ElementsAre(32, 16));
  EXPECT_THAT(Steps(classes, 15), ElementsAre(16));
  EXPECT_THAT(Steps(classes, 7), ElementsAre(8));
}

TEST(NextRowClassTest, AOnlyClassTakesAll) { EXPECT_THAT(Steps({16}, 33), ElementsAre(16, 16, 16)); }

TEST(PanelsTest, OnlyTheLastPanelIsNarrower) {
  EXPECT_EQ(TileProducts::Panels(144), 3);
  EXPECT_EQ(TileProducts::PanelColumns(144, 0), 64);
  EXPECT_EQ(TileProducts::PanelColumns(144, 2), 16);
}

}  // namespace
}  // namespace attnd::core::kernels
