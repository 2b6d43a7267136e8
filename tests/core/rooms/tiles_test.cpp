#include "core/tiles.h"

#include <gtest/gtest.h>

#include <vector>

namespace attnd::core {
namespace {

Problem MakeProblem(std::int64_t query_rows, std::int64_t keys) {
  Problem problem;
  problem.batch = 2;
  problem.query_heads = 1;
  problem.key_value_heads = 1;
  problem.query_rows = query_rows;
  problem.keys = keys;
  problem.head_size = 8;
  problem.value_head_size = 8;
  return problem;
}

TEST(TilesTest, WithoutAMaskEveryTileIsFull) {
  const Problem problem = MakeProblem(100, 100);
  EXPECT_EQ(ClassifyTile(problem, 0, {0, 10}, {90, 100}), TileKind::kFull);
}

TEST(TilesTest, CausalTilesAreHiddenMixedOrFull) {
  Problem problem = MakeProblem(100, 100);
  problem.causal_offsets = {0, 0};
  EXPECT_EQ(ClassifyTile(problem, 0, {0, 10}, {10, 20}), TileKind::kHidden);
  EXPECT_EQ(ClassifyTile(problem, 0, {0, 11}, {10, 20}), TileKind::kMixed);
  EXPECT_EQ(ClassifyTile(problem, 0, {19, 29}, {10, 20}), TileKind::kFull);
  EXPECT_EQ(ClassifyTile(problem, 0, {18, 29}, {10, 20}), TileKind::kMixed);
}

TEST(TilesTest, ANegativeOffsetHidesAllKeysFromTheFirstRows) {
  Problem problem = MakeProblem(10, 4);
  problem.causal_offsets = {-6, 0};
  EXPECT_EQ(VisibleKeys(problem, 0, 5).size(), 0);
  EXPECT_EQ(VisibleKeys(problem, 0, 6).size(), 1);
  EXPECT_EQ(ClassifyTile(problem, 0, {0, 6}, {0, 4}), TileKind::kHidden);
  EXPECT_EQ(VisibleKeys(problem, 1, 1).size(), 2);
}

TEST(TilesTest, KeyLengthsCutEachBatchEntryAtItsOwn) {
  Problem problem = MakeProblem(10, 100);
  problem.key_lengths = {0, 40};
  EXPECT_EQ(ClassifyTile(problem, 0, {0, 10}, {0, 100}), TileKind::kHidden);
  EXPECT_EQ(ClassifyTile(problem, 1, {0, 10}, {0, 40}), TileKind::kFull);
  EXPECT_EQ(ClassifyTile(problem, 1, {0, 10}, {0, 41}), TileKind::kMixed);
  EXPECT_EQ(ClassifyTile(problem, 1, {0, 10}, {40, 100}), TileKind::kHidden);
}

TEST(TilesTest, ABooleanMaskHidesATileInWhichNoByteIsSet) {
  Problem problem = MakeProblem(4, 6);
  problem.boolean_mask = MaskStrides{.batch = 0, .head = 0, .query = 6, .key = 1};
  std::vector<std::uint8_t> mask(4 * 6, 0);
  mask[2 * 6 + 5] = 255;
  EXPECT_TRUE(MaskShowsAny(problem, mask.data(), 1, 0, {0, 4}, {3, 6}));
  EXPECT_FALSE(MaskShowsAny(problem, mask.data(), 1, 0, {0, 2}, {0, 6}));
  EXPECT_FALSE(MaskShowsAny(problem, mask.data(), 1, 0, {0, 4}, {0, 5}));
  EXPECT_TRUE(MaskShowsAny(problem, mask.data(), 1, 0, {2, 3}, {5, 6}));
}

TEST(TilesTest, ABroadcastMaskIsReadWhereItIs) {
  Problem problem = MakeProblem(4, 6);
  // One byte a batch entry.
  problem.boolean_mask = MaskStrides{.batch = 1, .head = 0, .query = 0, .key = 0};
  const std::vector<std::uint8_t> mask = {0, 1};
  EXPECT_FALSE(MaskShowsAny(problem, mask.data(), 0, 0, {0, 4}, {0, 6}));
  EXPECT_TRUE(MaskShowsAny(problem, mask.data(), 1, 0, {0, 4}, {0, 6}));
}

}  // namespace
}  // namespace attnd::core
