#include "core/tiles.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
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

TileKind Classify(const Problem& problem, std::int64_t batch_entry, Range rows, Range keys,
                  const Tensors& tensors = {}) {
  const QueryTile tile{.batch_entry = batch_entry, .sequence = problem.SequenceAt(batch_entry), .rows = rows};
  std::array<Range, kQueryTileRows> row_keys;
  FindRowKeys(problem, tile, row_keys.data());
  std::vector<std::uint8_t> memory(kQueryTileRows * kKeyTileKeys);
  TileVisibility visibility;
  return FindVisibility(problem, tensors, tile, keys, row_keys.data(), memory.data(), visibility);
}

// What is computed of a tile of the first batch entry.
Range Panels(const Problem& problem, Range rows, Range keys, std::int64_t padded_keys, const Tensors& tensors = {}) {
  const QueryTile tile{.batch_entry = 0, .sequence = problem.SequenceAt(0), .rows = rows};
  std::array<Range, kQueryTileRows> row_keys;
  FindRowKeys(problem, tile, row_keys.data());
  std::vector<std::uint8_t> memory(kQueryTileRows * kKeyTileKeys);
  TileVisibility visibility;
  FindVisibility(problem, tensors, tile, keys, row_keys.data(), memory.data(), visibility);
  return VisiblePanels(visibility, rows.size(), padded_keys);
}

Range Visible(const Problem& problem, std::int64_t batch_entry, std::int64_t row) {
  return VisibleKeys(problem, problem.SequenceAt(batch_entry), row);
}

TEST(TilesTest, WithoutAMaskEveryTileIsFull) {
  const Problem problem = MakeProblem(100, 100);
  EXPECT_EQ(Classify(problem, 0, {0, 10}, {90, 100}), TileKind::kFull);
}

TEST(TilesTest, CausalTilesAreHiddenMixedOrFull) {
  Problem problem = MakeProblem(100, 100);
  problem.is_causal = true;
  EXPECT_EQ(Classify(problem, 0, {0, 10}, {10, 20}), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 0, {0, 11}, {10, 20}), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 0, {19, 29}, {10, 20}), TileKind::kFull);
  EXPECT_EQ(Classify(problem, 0, {18, 29}, {10, 20}), TileKind::kMixed);
}

TEST(TilesTest, OnlyPanelsThatARowSeesAreComputed) {
  Problem problem = MakeProblem(300, 250);
  const auto expect = [](Range found, std::int64_t begin, std::int64_t end) {
    EXPECT_EQ(found.begin, begin);
    EXPECT_EQ(found.end, end);
  };
  expect(Panels(problem, {0, 10}, {0, 250}, 256), 0, 256);
  problem.is_causal = true;
  expect(Panels(problem, {0, 64}, {0, 250}, 256), 0, 64);
  expect(Panels(problem, {64, 66}, {0, 250}, 256), 0, 128);
  problem.window_left = 2;
  expect(Panels(problem, {130, 140}, {0, 250}, 256), 128, 192);
  // The last panel is as wide as the padding makes it.
  expect(Panels(problem, {200, 250}, {0, 250}, 250), 192, 250);
}

TEST(TilesTest, OnlyPanelsThatAMaskShowsAreComputed) {
  Problem problem = MakeProblem(2, 200);
  problem.boolean_mask = BroadcastStrides{.query = 200, .key = 1, .keys_end = 200};
  std::vector<std::uint8_t> mask(400);
  Tensors tensors;
  tensors.mask = mask.data();
  mask[70] = 1;
  mask[200 + 127] = 1;
  const Range found = Panels(problem, {0, 2}, {0, 200}, 208, tensors);
  EXPECT_EQ(found.begin, 64);
  EXPECT_EQ(found.end, 128);
}

TEST(TilesTest, ANegativeOffsetHidesAllKeysFromTheFirstRows) {
  Problem problem = MakeProblem(10, 4);
  problem.is_causal = true;
  problem.position_offsets = {-6, 0};
  EXPECT_EQ(Visible(problem, 0, 5).size(), 0);
  EXPECT_EQ(Visible(problem, 0, 6).size(), 1);
  EXPECT_EQ(Classify(problem, 0, {0, 6}, {0, 4}), TileKind::kHidden);
  EXPECT_EQ(Visible(problem, 1, 1).size(), 2);
}

TEST(TilesTest, APrefixIsVisibleToAllRows) {
  Problem problem = MakeProblem(10, 10);
  problem.is_causal = true;
  problem.prefix_lengths = {0, 4};
  EXPECT_EQ(Visible(problem, 0, 0).end, 1);
  EXPECT_EQ(Visible(problem, 1, 0).end, 4);
  EXPECT_EQ(Visible(problem, 1, 6).end, 7);
}

TEST(TilesTest, AWindowShowsTheKeysAroundARowsPlace) {
  Problem problem = MakeProblem(100, 100);
  problem.window_left = 2;
  problem.window_right = 3;
  problem.position_offsets = {0, 50};
  EXPECT_EQ(Visible(problem, 0, 10).begin, 8);
  EXPECT_EQ(Visible(problem, 0, 10).end, 14);
  EXPECT_EQ(Visible(problem, 0, 0).begin, 0);
  EXPECT_EQ(Visible(problem, 1, 10).begin, 58);
  EXPECT_EQ(Visible(problem, 1, 60).size(), 0);
  EXPECT_EQ(Classify(problem, 0, {10, 20}, {22, 30}), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 0, {10, 20}, {23, 30}), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 0, {10, 20}, {0, 8}), TileKind::kHidden);
}

TEST(TilesTest, KeyLengthsCutEachBatchEntryAtItsOwn) {
  Problem problem = MakeProblem(10, 100);
  problem.key_lengths = {0, 40};
  EXPECT_EQ(Classify(problem, 0, {0, 10}, {0, 100}), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 1, {0, 10}, {0, 40}), TileKind::kFull);
  EXPECT_EQ(Classify(problem, 1, {0, 10}, {0, 41}), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 1, {0, 10}, {40, 100}), TileKind::kHidden);
}

TEST(TilesTest, PaddedRowsSeeNothing) {
  Problem problem = MakeProblem(10, 100);
  problem.query_lengths = {3, 10};
  EXPECT_EQ(Visible(problem, 0, 2).size(), 100);
  EXPECT_EQ(Visible(problem, 0, 3).size(), 0);
  EXPECT_EQ(Classify(problem, 0, {3, 10}, {0, 100}), TileKind::kHidden);
}

TEST(TilesTest, ABooleanMaskHidesATileInWhichNoByteIsSet) {
  Problem problem = MakeProblem(4, 6);
  problem.boolean_mask = BroadcastStrides{.query = 6, .key = 1, .keys_end = 6};
  std::vector<std::uint8_t> mask(4 * 6, 0);
  mask[2 * 6 + 5] = 255;
  const Tensors tensors{.mask = mask.data()};
  EXPECT_EQ(Classify(problem, 1, {0, 4}, {3, 6}, tensors), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 1, {0, 2}, {0, 6}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 1, {0, 4}, {0, 5}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 1, {2, 3}, {5, 6}, tensors), TileKind::kMixed);
}

TEST(TilesTest, ABroadcastMaskIsReadWhereItIs) {
  Problem problem = MakeProblem(4, 6);
  // One byte a batch entry.
  problem.boolean_mask = BroadcastStrides{.batch = 1, .keys_end = 6};
  const std::vector<std::uint8_t> mask = {0, 1};
  const Tensors tensors{.mask = mask.data()};
  EXPECT_EQ(Classify(problem, 0, {0, 4}, {0, 6}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 1, {0, 4}, {0, 6}, tensors), TileKind::kMixed);
}

TEST(TilesTest, KeysThatANarrowMaskDoesNotReachAreHidden) {
  Problem problem = MakeProblem(4, 600);
  problem.boolean_mask = BroadcastStrides{.key = 1, .keys_end = 300};
  const std::vector<std::uint8_t> mask(300, 1);
  const Tensors tensors{.mask = mask.data()};
  EXPECT_EQ(Classify(problem, 0, {0, 4}, {256, 512}, tensors), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 0, {0, 4}, {300, 512}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 0, {0, 4}, {512, 600}, tensors), TileKind::kHidden);
}

TEST(TilesTest, ABiasOfMinusInfinityHides) {
  Problem problem = MakeProblem(2, 3);
  problem.bias = Bias{.element_type = ElementType::kFloat32, .strides = {.query = 3, .key = 1, .keys_end = 3}};
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  std::vector<float> bias = {kMinusInfinity, kMinusInfinity, 0, kMinusInfinity, 1, 2};
  const Tensors tensors{.bias = bias.data()};
  EXPECT_EQ(Classify(problem, 0, {0, 1}, {0, 2}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 0, {0, 2}, {0, 2}, tensors), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 0, {0, 2}, {0, 1}, tensors), TileKind::kHidden);
}

TEST(TilesTest, ATileWithoutAPairOfOneSegmentIsHidden) {
  Problem problem = MakeProblem(4, 4);
  problem.has_segments = true;
  const std::vector<std::int32_t> ids = {0, 0, 1, 1, 7, -1, 7, -1};
  const Tensors tensors{.query_segment_ids = ids.data(), .key_segment_ids = ids.data()};
  EXPECT_EQ(Classify(problem, 0, {0, 2}, {2, 4}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 0, {0, 3}, {2, 4}, tensors), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 1, {0, 1}, {1, 2}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 1, {0, 1}, {2, 3}, tensors), TileKind::kMixed);
}

TEST(TilesTest, ABlockMaskHidesWholeBlocks) {
  Problem problem = MakeProblem(8, 600);
  problem.block_mask =
      BlockMask{.query_block_rows = 4, .key_block_keys = 200, .strides = {.query = 3, .key = 1, .keys_end = 3}};
  const std::vector<std::uint8_t> blocks = {1, 0, 0, 0, 0, 1};
  const Tensors tensors{.block_mask = blocks.data()};
  EXPECT_EQ(Classify(problem, 0, {0, 4}, {0, 256}, tensors), TileKind::kMixed);
  EXPECT_EQ(Classify(problem, 0, {0, 4}, {256, 512}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 0, {4, 8}, {0, 256}, tensors), TileKind::kHidden);
  EXPECT_EQ(Classify(problem, 0, {0, 8}, {512, 600}, tensors), TileKind::kMixed);
}

// Each mask alone shows something in the tile, but no pair is shown by both.
TEST(TilesTest, MasksThatLeaveNothingTogetherHideTheTile) {
  Problem problem = MakeProblem(4, 4);
  problem.is_causal = true;
  problem.boolean_mask = BroadcastStrides{.query = 4, .key = 1, .keys_end = 4};
  const std::vector<std::uint8_t> above_the_diagonal = {0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0};
  const Tensors tensors{.mask = above_the_diagonal.data()};
  EXPECT_EQ(Classify(problem, 0, {0, 4}, {0, 4}, tensors), TileKind::kHidden);
}

TEST(TilesTest, ASequenceOfARaggedBatchCountsFromItsOwnFirst) {
  Problem problem = MakeProblem(3, 4);
  problem.query_offsets = {0, 2, 5};
  problem.key_offsets = {0, 4, 5};
  problem.is_causal = true;
  problem.is_bottom_right = true;
  EXPECT_EQ(Visible(problem, 0, 0).end, 3);
  EXPECT_EQ(Visible(problem, 1, 1).size(), 0);
  EXPECT_EQ(Visible(problem, 1, 2).end, 1);
}

}  // namespace
}  // namespace attnd::core
