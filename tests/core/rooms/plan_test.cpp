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
  const Plan plan = MakePlan(MakeProblem(), ElementType::kFloat32, 16);
  EXPECT_EQ(plan.groups, 3 * 2);
  EXPECT_EQ(plan.query_heads_per_group, 4);
}

TEST(PlanTest, HeadsWithFewRowsShareATile) {
  Problem problem = MakeProblem();
  const auto plan_of = [&](std::int64_t query_rows) {
    problem.query_rows = query_rows;
    return MakePlan(problem, ElementType::kFloat32, 16);
  };
  const auto sequence = [&] { return problem.SequenceAt(0); };
  EXPECT_EQ(plan_of(1).HeadsPerTile(sequence()), 4);
  EXPECT_EQ(plan_of(16).HeadsPerTile(sequence()), 4);
  EXPECT_TRUE(plan_of(16).IsReadOnce(sequence()));
  EXPECT_EQ(plan_of(17).HeadsPerTile(sequence()), 3);
  EXPECT_EQ(plan_of(17).QueryTilesOfGroup(sequence()), 2);
  EXPECT_FALSE(plan_of(17).IsReadOnce(sequence()));
  EXPECT_EQ(plan_of(65).HeadsPerTile(sequence()), 1);
  EXPECT_EQ(plan_of(65).QueryTilesOfGroup(sequence()), 8);
  EXPECT_TRUE(plan_of(0).IsReadOnce(sequence()));
}

TEST(PlanTest, TilesCoverRowsAndKeysFromTheFirstOn) {
  const Sequence sequence = MakeProblem().SequenceAt(0);
  const SequenceTiles tiles = TilesOf(sequence);
  ASSERT_EQ(tiles.query_tiles, 3);
  ASSERT_EQ(tiles.key_tiles, 2);
  EXPECT_EQ(tiles.packed_key_tiles, 2);
  EXPECT_EQ(QueryTileRows(1, sequence.rows).begin, kQueryTileRows);
  EXPECT_EQ(QueryTileRows(1, sequence.rows).size(), kQueryTileRows);
  EXPECT_EQ(QueryTileRows(2, sequence.rows).size(), 1);
  EXPECT_EQ(KeyTileKeys(0, sequence.keys).size(), kKeyTileKeys);
  EXPECT_EQ(KeyTileKeys(1, sequence.keys).begin, kKeyTileKeys);
  EXPECT_EQ(KeyTileKeys(1, sequence.keys).size(), 10);
}

TEST(PlanTest, PaddingIsNotPacked) {
  Problem problem = MakeProblem();
  problem.key_lengths = {0, kKeyTileKeys, kKeyTileKeys + 1};
  EXPECT_EQ(TilesOf(problem.SequenceAt(0)).packed_key_tiles, 1);
  EXPECT_EQ(TilesOf(problem.SequenceAt(1)).packed_key_tiles, 1);
  EXPECT_EQ(TilesOf(problem.SequenceAt(2)).packed_key_tiles, 2);
  EXPECT_EQ(TilesOf(problem.SequenceAt(0)).key_tiles, 2);
}

TEST(PlanTest, PackedSizesArePaddedToStepsAndOfTheOperandType) {
  const Problem problem = MakeProblem();
  const Plan in_float32 = MakePlan(problem, ElementType::kFloat32, 16);
  const Plan in_bfloat16 = MakePlan(problem, ElementType::kBfloat16, 32);
  EXPECT_EQ(in_float32.PackedKeySizeBytes(2, problem.keys), (kKeyTileKeys + 16) * 48 * 4);
  EXPECT_EQ(in_float32.PackedValueSizeBytes(2, problem.keys), (kKeyTileKeys + 16) * 80 * 4);
  EXPECT_EQ(in_float32.PackedKeySizeBytes(1, problem.keys), kKeyTileKeys * 48 * 4);
  EXPECT_EQ(in_float32.PackedKeySizeBytes(0, problem.keys), 0);
  EXPECT_EQ(in_bfloat16.PackedKeySizeBytes(2, problem.keys), (kKeyTileKeys + 32) * 64 * 2);
  EXPECT_EQ(in_bfloat16.PackedValueSizeBytes(2, problem.keys), (kKeyTileKeys + 32) * 96 * 2);
}

TEST(PlanTest, KeysArePaddedToSteps) {
  const Plan plan = MakePlan(MakeProblem(), ElementType::kFloat32, 16);
  EXPECT_EQ(plan.PaddedKeys({0, 15}), 16);
  EXPECT_EQ(plan.PaddedKeys({kKeyTileKeys, kKeyTileKeys + 65}), 80);
  EXPECT_EQ(plan.PaddedKeysBefore(33, {0, kKeyTileKeys}), 48);
  EXPECT_EQ(plan.PaddedKeysBefore(kKeyTileKeys + 1, {0, kKeyTileKeys}), kKeyTileKeys);
  EXPECT_EQ(plan.PaddedKeysBefore(kKeyTileKeys + 1, {kKeyTileKeys, 2 * kKeyTileKeys}), 16);
}

}  // namespace
}  // namespace attnd::core
