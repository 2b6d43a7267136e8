// Each mask alone, together with the others, and rows from which everything is hidden.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::Alignment;
using core::ElementType;

class MaskTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(const Sizes& sizes, core::Layout layout = core::Layout::kBhsd) {
    return MakeCase({.sizes = sizes, .element_type = GetParam(), .layout = layout}, random_);
  }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Masks, MaskTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

// Fewer, as many and more query rows than keys, within a tile and past several.
const std::vector<Sizes> kLengths = {
    {.query_heads = 2, .query_rows = 9, .keys = 9, .head_size = 16, .value_head_size = 16},
    {.query_heads = 2, .query_rows = 5, .keys = 23, .head_size = 16, .value_head_size = 16},
    {.query_heads = 2, .query_rows = 23, .keys = 5, .head_size = 16, .value_head_size = 16},
    {.query_rows = 600, .keys = 600, .head_size = 32, .value_head_size = 32},
    {.query_rows = 70, .keys = 1100, .head_size = 32, .value_head_size = 32},
    {.query_rows = 600, .keys = 70, .head_size = 32, .value_head_size = 32},
};

TEST_P(MaskTest, CausalInBothAlignments) {
  for (const Sizes& sizes : kLengths) {
    for (const Alignment alignment : {Alignment::kTopLeft, Alignment::kBottomRight}) {
      AttentionCase attention = Make(sizes);
      attention.description.mask.causal = Causal(alignment);
      ExpectCorrect(attention, Attend(SharedEngine(), attention));
    }
  }
}

TEST_P(MaskTest, CausalByOffsetsOfEachBatchEntry) {
  for (Sizes sizes : kLengths) {
    sizes.batch = 4;
    AttentionCase attention = Make(sizes);
    attention.description.mask.causal = CausalAt({-sizes.query_rows - 3, -2, 1, sizes.keys});
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(MaskTest, CausalWithoutAlignmentWhereItDoesNotMatter) {
  AttentionCase attention = Make({.query_rows = 20, .keys = 20, .head_size = 16, .value_head_size = 16});
  attention.description.mask.causal = Causal(core::Alignment::kUnspecified);
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

TEST_P(MaskTest, KeyLengths) {
  for (const core::Layout layout : {core::Layout::kBhsd, core::Layout::kBshd}) {
    AttentionCase attention = Make(
        {.batch = 6, .query_heads = 2, .query_rows = 5, .keys = 600, .head_size = 16, .value_head_size = 16}, layout);
    attention.description.mask.key_lengths = {{600, 513, 512, 16, 1, 0}};
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(MaskTest, BooleanInEveryBroadcast) {
  const std::vector<core::Shape> shapes = {{},
                                           {1},
                                           {30},
                                           {20, 1},
                                           {1, 30},
                                           {20, 30},
                                           {4, 1, 1},
                                           {4, 20, 30},
                                           {1, 20, 30},
                                           {3, 1, 1, 1},
                                           {3, 1, 1, 30},
                                           {3, 1, 20, 30},
                                           {3, 4, 20, 1},
                                           {1, 4, 1, 30},
                                           {3, 4, 20, 30}};
  for (const core::Shape& shape : shapes) {
    AttentionCase attention = Make({.batch = 3,
                                    .query_heads = 4,
                                    .key_value_heads = 2,
                                    .query_rows = 20,
                                    .keys = 30,
                                    .head_size = 16,
                                    .value_head_size = 16});
    AddBooleanMask(attention, shape, 0.5, random_);
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(MaskTest, BooleanInRanks2And3) {
  AttentionCase attention = MakeCase({.sizes = {.query_rows = 20, .keys = 30, .head_size = 16, .value_head_size = 16},
                                      .element_type = GetParam(),
                                      .rank = 2},
                                     random_);
  AddBooleanMask(attention, {20, 30}, 0.5, random_);
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
  for (const core::Shape& shape : std::vector<core::Shape>{{3, 20, 30}, {3, 1, 30}, {20, 30}}) {
    attention = MakeCase({.sizes = {.batch = 3, .query_rows = 20, .keys = 30, .head_size = 16, .value_head_size = 16},
                          .element_type = GetParam(),
                          .rank = 3},
                         random_);
    AddBooleanMask(attention, shape, 0.5, random_);
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(MaskTest, BooleanOverTheWeightsShapeWhateverTheLayout) {
  AttentionCase attention = Make({.batch = 2,
                                  .query_heads = 4,
                                  .key_value_heads = 2,
                                  .query_rows = 7,
                                  .keys = 30,
                                  .head_size = 16,
                                  .value_head_size = 16},
                                 core::Layout::kBshd);
  AddBooleanMask(attention, {2, 4, 7, 30}, 0.5, random_);
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

TEST_P(MaskTest, SparseBooleanPastSeveralTiles) {
  for (const double visible : {0.001, 0.02, 0.98}) {
    AttentionCase attention = Make({.query_rows = 70, .keys = 1600, .head_size = 32, .value_head_size = 32});
    AddBooleanMask(attention, {70, 1600}, visible, random_);
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(MaskTest, AllTogether) {
  for (const Alignment alignment : {Alignment::kTopLeft, Alignment::kBottomRight}) {
    for (const core::EmptyRow empty_row : {core::EmptyRow::kZero, core::EmptyRow::kMeanOfAllValues}) {
      AttentionCase attention = Make({.batch = 3,
                                      .query_heads = 4,
                                      .key_value_heads = 2,
                                      .query_rows = 70,
                                      .keys = 550,
                                      .head_size = 32,
                                      .value_head_size = 32});
      attention.description.mask.causal = Causal(alignment);
      attention.description.mask.key_lengths = {{550, 521, 3}};
      AddBooleanMask(attention, {3, 1, 70, 550}, 0.6, random_);
      attention.description.empty_row = empty_row;
      ExpectCorrect(attention, Attend(SharedEngine(), attention));
    }
  }
}

TEST_P(MaskTest, EmptyRowsAreZeroAndCounted) {
  AttentionCase attention =
      Make({.batch = 2, .query_heads = 2, .query_rows = 20, .keys = 5, .head_size = 16, .value_head_size = 16});
  attention.description.mask.causal = Causal(core::Alignment::kBottomRight);  // the first 15 rows see nothing
  const Answer answer = Attend(SharedEngine(), attention);
  ExpectCorrect(attention, answer);
  EXPECT_EQ(answer.empty_rows, 2 * 2 * 15);
}

TEST_P(MaskTest, EmptyRowsAreTheMeanOfAllValuesWhereAskedFor) {
  AttentionCase attention = Make({.batch = 3,
                                  .query_heads = 4,
                                  .key_value_heads = 2,
                                  .query_rows = 5,
                                  .keys = 600,
                                  .head_size = 16,
                                  .value_head_size = 20},
                                 core::Layout::kBshd);
  attention.description.mask.key_lengths = {{0, 600, 0}};
  attention.description.empty_row = core::EmptyRow::kMeanOfAllValues;
  const Answer answer = Attend(SharedEngine(), attention);
  ExpectCorrect(attention, answer);
  EXPECT_EQ(answer.empty_rows, 2 * 4 * 5);
}

TEST_P(MaskTest, AnAllFalseMaskHidesEverything) {
  for (const core::EmptyRow empty_row : {core::EmptyRow::kZero, core::EmptyRow::kMeanOfAllValues}) {
    AttentionCase attention = Make({.query_rows = 70, .keys = 600, .head_size = 16, .value_head_size = 16});
    AddBooleanMask(attention, {1, 1}, 0, random_);
    attention.description.empty_row = empty_row;
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

// Hidden tiles are skipped, not computed and thrown away: of 4 × 4 tiles of 512 keys by 512 rows, 10 are at or below
// the diagonal.
TEST_P(MaskTest, SkipsHiddenTiles) {
  AttentionCase attention = Make({.query_rows = 2048, .keys = 2048, .head_size = 16, .value_head_size = 16});
  attention.description.return_weights = false;
  EngineCall whole(attention);
  const core::Report all = *SharedEngine().Run(whole.problem(), whole.tensors());
  attention.description.mask.causal = Causal(core::Alignment::kUnspecified);
  EngineCall causal(attention);
  const core::Report half = *SharedEngine().Run(causal.problem(), causal.tensors());
  EXPECT_EQ(all.skipped_tiles, 0);
  EXPECT_EQ(half.computed_tiles * 16, all.computed_tiles * 10);
  EXPECT_EQ(half.computed_tiles + half.skipped_tiles, all.computed_tiles);
  EXPECT_DOUBLE_EQ(all.floating_point_operations, 2.0 * 2048 * 2048 * 32);
  // Of the tiles on the diagonal, panels of 64 keys that no row sees are left out.
  EXPECT_DOUBLE_EQ(half.floating_point_operations * 64, all.floating_point_operations * 33);
}

}  // namespace
}  // namespace attnd::test
