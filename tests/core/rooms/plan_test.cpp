#include "core/plan.h"

#include <gtest/gtest.h>

namespace attnd::core {
namespace {

Problem MakeProblem() {
  Problem problem;
  problem.batch = 3;
  problem.query_heads = 8;
  problem.key_value_heads = 2;
  problem.query_rows = kQueryTileRows * 2 + 1;
  problem.keys = kKeyTileKeys + 10;
  problem.head_size = 33;
  problem.value_head_size = 80;
  return problem;
}

TEST(PlanTest, AGroupIsAKeyValueHeadWithTheQueryHeadsThatReadIt) {
  const Plan plan = MakePlan(MakeProblem(), ElementType::kFloat32);
  EXPECT_EQ(plan.groups, 3 * 2);
  EXPECT_EQ(plan.query_heads_per_group, 4);
}

TEST(PlanTest, TilesCoverRowsAndKeysFromTheFirstOn) {
  const Plan plan = MakePlan(MakeProblem(), ElementType::kFloat32);
  ASSERT_EQ(plan.query_tiles, 3);
  ASSERT_EQ(plan.key_tiles, 2);
  EXPECT_EQ(plan.QueryTile(1).begin, kQueryTileRows);
  EXPECT_EQ(plan.QueryTile(1).size(), kQueryTileRows);
  EXPECT_EQ(plan.QueryTile(2).size(), 1);
  EXPECT_EQ(plan.KeyTile(0).size(), kKeyTileKeys);
  EXPECT_EQ(plan.KeyTile(1).begin, kKeyTileKeys);
  EXPECT_EQ(plan.KeyTile(1).size(), 10);
}

TEST(PlanTest, PackedSizesArePaddedAndOfTheOperandType) {
  const Plan in_float32 = MakePlan(MakeProblem(), ElementType::kFloat32);
  const Plan in_bfloat16 = MakePlan(MakeProblem(), ElementType::kBfloat16);
  EXPECT_EQ(in_float32.packed_key_size_bytes, (kKeyTileKeys + 16) * 48 * 4);
  EXPECT_EQ(in_float32.packed_value_size_bytes, (kKeyTileKeys + 16) * 80 * 4);
  EXPECT_EQ(in_bfloat16.packed_key_size_bytes, (kKeyTileKeys + 32) * 64 * 2);
  EXPECT_EQ(in_bfloat16.packed_value_size_bytes, (kKeyTileKeys + 32) * 96 * 2);
}

}  // namespace
}  // namespace attnd::core
