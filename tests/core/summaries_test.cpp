// What the weights say, against the definitions in float64: of the weights that the same call answers, as closely as
// sums in float32 go, and of the definition's weights, within what the bound on each weight allows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/plan.h"
#include "tests/support/combinations.h"
#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"
#include "tests/support/summary_expectations.h"
#include "tests/support/summary_reference.h"

namespace attnd::test {
namespace {

using core::ElementType;
using core::HeadReduction;
using core::MatrixStage;
using core::Output;

// Runs the case, with its weights, and holds every summary against both.
void ExpectSummaries(core::Engine& engine, AttentionCase attention,
                     EngineCall::Placement placement = EngineCall::Placement::kAligned) {
  attention.description.return_weights = true;
  EngineCall call(attention, placement);
  const absl::StatusOr<core::Report> report = engine.Run(call.problem(), call.tensors());
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(call.GuardsAreIntact()) << ToString(attention);
  ExpectSummariesOfOwnWeights(attention, call);
  ExpectSummariesOfDefinition(attention, call);
}

class SummariesTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(const Sizes& sizes) { return MakeCase({.sizes = sizes, .element_type = GetParam()}, random_); }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Summaries, SummariesTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

TEST_P(SummariesTest, OfAnyOptionsAreRight) {
  core::Engine engine(core::EngineOptions{.worker_count = 2});
  for (int n = 0; n < 40 && !HasFailure(); ++n) {
    AttentionCase attention = RandomCombination(GetParam(), n % 3 == 0, random_);
    attention.description.summaries = RandomSummaries(attention, random_);
    SCOPED_TRACE("problem " + std::to_string(n));
    ExpectSummaries(engine, attention,
                    n % 2 == 0 ? EngineCall::Placement::kAligned : EngineCall::Placement::kOneElementPastAligned);
  }
}

TEST_P(SummariesTest, OfSeveralTilesAreRight) {
  AttentionCase attention = Make({.query_heads = 2, .query_rows = 307, .keys = 1300, .head_size = 9});
  core::ProblemDescription& description = attention.description;
  description.positions.alignment = core::Alignment::kBottomRight;
  description.summaries = EverySummary();
  for (const HeadReduction reduction : {HeadReduction::kNone, HeadReduction::kMean, HeadReduction::kSum}) {
    description.summaries.head_reduction = reduction;
    description.summaries.pooled_map->pooling =
        reduction == HeadReduction::kMean ? core::Pooling::kMaximum : core::Pooling::kMean;
    ExpectSummaries(SharedEngine(), attention);
  }
}

TEST_P(SummariesTest, OfChosenEntriesHeadsAndRowsAreRight) {
  AttentionCase attention = Make({.batch = 4, .query_heads = 6, .key_value_heads = 2, .query_rows = 300, .keys = 110});
  core::ProblemDescription& description = attention.description;
  description.positions.alignment = core::Alignment::kTopLeft;
  description.mask.causal = Causal(core::Alignment::kTopLeft);
  description.positions = {};
  description.summaries = EverySummary();
  description.summaries.batch_entries = {1, 3};
  description.summaries.heads = {0, 4, 5};
  description.summaries.query_rows = {0, 1, 2, 63, 64, 65, 100, 102, 104, 255, 256, 257, 299};
  ExpectSummaries(SharedEngine(), attention);
  description.summaries.head_reduction = HeadReduction::kMean;
  ExpectSummaries(SharedEngine(), attention);
}

// Cells of one row and key, of none, and of whole tiles.
TEST_P(SummariesTest, MapsOfAnySizeAreRight) {
  AttentionCase attention = Make({.query_rows = 333, .keys = 600, .head_size = 8});
  attention.description.return_weights = true;
  for (const std::int64_t rows : {1, 2, 5, 100, 333, 1024}) {
    for (const std::int64_t columns : {1, 3, 77, 600, 1024}) {
      attention.description.summaries.pooled_map = {.rows = rows, .columns = columns};
      EngineCall call(attention);
      ASSERT_TRUE(SharedEngine().Run(call.problem(), call.tensors()).ok());
      ExpectSummariesOfOwnWeights(attention, call);
    }
  }
}

// The errors of many tiles do not add up.
TEST_P(SummariesTest, WeightsOfLongRowsAddUpToOne) {
  AttentionCase attention = Make({.query_rows = 3, .keys = 65'536, .head_size = 8});
  attention.description.summaries.first_keys = 65'536;
  EngineCall call(attention);
  ASSERT_TRUE(SharedEngine().Run(call.problem(), call.tensors()).ok());
  for (const double sum : call.Decoded(Output::kFirstKeysWeight)) EXPECT_NEAR(sum, 1, 2e-6);
}

TEST_P(SummariesTest, EqualWeightsAreOrderedByKey) {
  AttentionCase attention = Make({.query_rows = 3, .keys = 600, .head_size = 8});
  std::ranges::fill(attention.key, 0.0);
  attention.description.mask.window = {.left = 300, .right = std::nullopt};
  attention.description.positions.offsets = {{400}};
  attention.description.summaries.top_keys = 7;
  EngineCall call(attention);
  ASSERT_TRUE(SharedEngine().Run(call.problem(), call.tensors()).ok());
  EXPECT_EQ(call.Decoded(Output::kTopKeys), (std::vector<double>{100, 101, 102, 103, 104, 105, 106,  //
                                                                 101, 102, 103, 104, 105, 106, 107,  //
                                                                 102, 103, 104, 105, 106, 107, 108}));
  EXPECT_FLOAT_EQ(static_cast<float>(call.Decoded(Output::kTopWeights)[0]), 1.0F / 500);
}

// Row 0 sees two keys, row 1 none, row 2 is padding.
AttentionCase WithEmptyAndPaddedRows(ElementType type, core::EmptyRow empty_row, Random& random) {
  AttentionCase attention =
      MakeCase({.sizes = {.query_rows = 3, .keys = 5, .head_size = 4}, .element_type = type}, random);
  std::ranges::fill(attention.key, 0.0);
  core::ProblemDescription& description = attention.description;
  AddBooleanMask(attention, {3, 5}, 1, random);
  attention.mask = {0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
  description.mask.query_lengths = {{2}};
  description.positions.alignment = core::Alignment::kTopLeft;
  description.empty_row = empty_row;
  description.summaries = EverySummary();
  description.summaries.top_keys = 3;
  description.summaries.first_keys = 2;
  description.summaries.pooled_map = {.rows = 3, .columns = 1};
  return attention;
}

TEST_P(SummariesTest, OfEmptyAndPaddedRowsAreZero) {
  const AttentionCase attention = WithEmptyAndPaddedRows(GetParam(), core::EmptyRow::kZero, random_);
  EngineCall call(attention);
  ASSERT_TRUE(SharedEngine().Run(call.problem(), call.tensors()).ok());
  EXPECT_EQ(call.Decoded(Output::kTopKeys), (std::vector<double>{1, 3, -1, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(call.Decoded(Output::kTopWeights), (std::vector<double>{0.5, 0.5, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(call.Decoded(Output::kLargestWeight), (std::vector<double>{0.5, 0, 0}));
  EXPECT_EQ(call.Decoded(Output::kFirstKeysWeight), (std::vector<double>{0.5, 0, 0}));
  EXPECT_EQ(call.Decoded(Output::kMeanDistance), (std::vector<double>{2, 0, 0}));
  EXPECT_EQ(call.Decoded(Output::kReceivedSum), (std::vector<double>{0, 0.5, 0, 0.5, 0}));
  EXPECT_EQ(call.Decoded(Output::kReceivedMaximum), (std::vector<double>{0, 0.5, 0, 0.5, 0}));
  EXPECT_NEAR(call.Decoded(Output::kEntropy)[0], std::log(2), 1e-6);
  EXPECT_EQ(call.Decoded(Output::kEntropy)[1], 0);
  EXPECT_EQ(call.Decoded(Output::kEntropy)[2], 0);
  ExpectSummaries(SharedEngine(), attention);
}

TEST_P(SummariesTest, OfEmptyRowsThatAreTheMeanOfAllValuesSeeAllKeys) {
  const AttentionCase attention = WithEmptyAndPaddedRows(GetParam(), core::EmptyRow::kMeanOfAllValues, random_);
  EngineCall call(attention);
  ASSERT_TRUE(SharedEngine().Run(call.problem(), call.tensors()).ok());
  EXPECT_EQ(call.Decoded(Output::kTopKeys), (std::vector<double>{1, 3, -1, 0, 1, 2, -1, -1, -1}));
  EXPECT_EQ(call.Decoded(Output::kLargestWeight), (std::vector<double>{0.5, 0.2F, 0}));
  EXPECT_NEAR(call.Decoded(Output::kFirstKeysWeight)[1], 0.4, 1e-6);
  EXPECT_NEAR(call.Decoded(Output::kMeanDistance)[1], 1.4, 1e-6);  // (1 + 0 + 1 + 2 + 3) / 5
  EXPECT_NEAR(call.Decoded(Output::kEntropy)[1], std::log(5), 1e-6);
  ExpectSummaries(SharedEngine(), attention);
}

// Though no tile shows a key.
TEST_P(SummariesTest, OfEmptyRowsAloneAreRight) {
  AttentionCase attention = Make({.query_heads = 2, .query_rows = 70, .keys = 600, .head_size = 4});
  attention.description.mask.key_lengths = {{0}};
  attention.description.positions.alignment = core::Alignment::kTopLeft;
  for (const core::EmptyRow empty_row : {core::EmptyRow::kZero, core::EmptyRow::kMeanOfAllValues}) {
    for (const HeadReduction reduction : {HeadReduction::kNone, HeadReduction::kSum}) {
      attention.description.empty_row = empty_row;
      attention.description.summaries = EverySummary();
      attention.description.summaries.head_reduction = reduction;
      ExpectSummaries(SharedEngine(), attention);
    }
  }
}

// A row that sees a NaN has no other weights; the others do not notice.
TEST_P(SummariesTest, NanReachesWhatItsRowSaysAlone) {
  AttentionCase attention = Make({.query_rows = 70, .keys = 600, .head_size = 8});
  core::ProblemDescription& description = attention.description;
  description.mask.causal = Causal(core::Alignment::kTopLeft);
  attention.key[static_cast<std::size_t>(60 * 8)] = std::nan("");  // rows from 60 on see it
  description.summaries = EverySummary();
  description.summaries.top_keys = 4;
  EngineCall call(attention);
  ASSERT_TRUE(SharedEngine().Run(call.problem(), call.tensors()).ok());
  for (const Output name : {Output::kEntropy, Output::kLargestWeight, Output::kMeanDistance}) {
    const std::vector<double> numbers = call.Decoded(name);
    for (std::size_t i = 0; i < 70; ++i) EXPECT_EQ(std::isnan(numbers[i]), i >= 60) << i;
  }
  for (const Output name : {Output::kReceivedSum, Output::kReceivedMaximum}) {
    const std::vector<double> numbers = call.Decoded(name);
    for (std::size_t j = 0; j < 600; ++j) EXPECT_EQ(std::isnan(numbers[j]), j < 70) << j;
  }
  const std::vector<double> top_keys = call.Decoded(Output::kTopKeys);
  for (std::size_t i = 60; i < 70; ++i) {
    for (std::size_t n = 0; n < 4; ++n) EXPECT_EQ(top_keys[i * 4 + n], static_cast<double>(n));
  }
}

// Where another head's weights are NaN, their keys come first.
TEST_P(SummariesTest, NanCountsAsTheLargestOfCombinedWeights) {
  AttentionCase attention = Make({.query_heads = 2, .key_value_heads = 2, .query_rows = 1, .keys = 6, .head_size = 8});
  AddBooleanMask(attention, {1, 2, 1, 6}, 1, random_);
  attention.mask = {1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0};
  attention.key[static_cast<std::size_t>((6 + 3) * 8)] = std::nan("");  // of head 1
  attention.description.summaries.top_keys = 6;
  attention.description.summaries.head_reduction = HeadReduction::kSum;
  EngineCall call(attention);
  ASSERT_TRUE(SharedEngine().Run(call.problem(), call.tensors()).ok());
  const std::vector<double> keys = call.Decoded(Output::kTopKeys);
  EXPECT_EQ(keys[0], 3);
  EXPECT_EQ(keys[1], 4);
  EXPECT_EQ(keys[5], -1);
  EXPECT_TRUE(std::isnan(call.Decoded(Output::kTopWeights)[1]));
  EXPECT_FALSE(std::isnan(call.Decoded(Output::kTopWeights)[2]));
}

TEST_P(SummariesTest, HaveTheSameBitsForAnyNumberOfWorkers) {
  AttentionCase attention = Make({.batch = 2, .query_heads = 2, .query_rows = 300, .keys = 1100, .head_size = 16});
  attention.description.positions.alignment = core::Alignment::kTopLeft;
  core::Engine four(core::EngineOptions{.worker_count = 4});
  for (const HeadReduction reduction : {HeadReduction::kNone, HeadReduction::kMean}) {
    attention.description.summaries = EverySummary();
    attention.description.summaries.head_reduction = reduction;
    const auto expected = AttendForBytes(SharedEngine(), attention);
    EXPECT_TRUE(AttendForBytes(SharedEngine(), attention) == expected);
    for (int n = 0; n < 3; ++n) EXPECT_TRUE(AttendForBytes(four, attention) == expected);
  }
}

// Neither does it matter which rows are asked for together.
TEST_P(SummariesTest, OfARowHaveTheSameBitsAmongOthersAndAlone) {
  AttentionCase attention = Make({.query_rows = 300, .keys = 1300, .head_size = 24});
  attention.description.positions.alignment = core::Alignment::kTopLeft;
  core::SummaryOptions& summaries = attention.description.summaries;
  summaries = EverySummary();
  EngineCall whole(attention);
  ASSERT_TRUE(SharedEngine().Run(whole.problem(), whole.tensors()).ok());
  for (const std::int64_t row : {0, 63, 64, 150, 299}) {
    summaries.query_rows = {row};
    EngineCall alone(attention);
    ASSERT_TRUE(SharedEngine().Run(alone.problem(), alone.tensors()).ok());
    for (const Output name : {Output::kEntropy, Output::kLargestWeight, Output::kFirstKeysWeight, Output::kMeanDistance,
                              Output::kTopKeys, Output::kTopWeights, Output::kMatrix}) {
      const std::vector<double> all = whole.Decoded(name);
      const auto size = std::ssize(all) / 300;
      EXPECT_TRUE(std::equal(all.begin() + row * size, all.begin() + (row + 1) * size, alone.Decoded(name).begin()));
    }
  }
}

// What a mask hides is not read, except by the matrix of scores that asks for it.
TEST_P(SummariesTest, DoNotReadWhatIsHidden) {
  for (int n = 0; n < 20 && !HasFailure(); ++n) {
    AttentionCase attention = RandomCombination(GetParam(), n % 3 == 0, random_);
    attention.description.empty_row = core::EmptyRow::kZero;
    core::SummaryOptions& summaries = attention.description.summaries;
    summaries = RandomSummaries(attention, random_);
    if (summaries.matrix) summaries.matrix->stage = n % 2 == 0 ? MatrixStage::kMasked : MatrixStage::kWeights;
    const auto expected = AttendForBytes(SharedEngine(), attention);
    HideNonFinite(attention);
    EXPECT_TRUE(AttendForBytes(SharedEngine(), attention) == expected) << ToString(attention);
  }
}

// Tiles that the masks hide are not computed again.
TEST_P(SummariesTest, SkipHiddenTiles) {
  AttentionCase attention = Make({.query_heads = 2, .query_rows = 2000, .keys = 2000, .head_size = 8});
  attention.description.mask.causal = Causal(core::Alignment::kTopLeft);
  attention.description.summaries.entropy = true;
  const auto run = [&] {
    EngineCall call(attention);
    const auto report = SharedEngine().Run(call.problem(), call.tensors());
    EXPECT_TRUE(report.ok()) << report.status();
    return *report;
  };
  const core::Report rows = run();
  EXPECT_EQ(rows.summary_tiles, rows.computed_tiles);
  EXPECT_EQ(rows.computed_tiles, 2 * (8 * 1 + 8 * 2 + 8 * 3 + 8 * 4));
  attention.description.summaries.received_sum = true;
  EXPECT_EQ(run().summary_tiles, 2 * rows.computed_tiles);
  attention.description.summaries = {};
  EXPECT_EQ(run().summary_tiles, 0);
}

}  // namespace
}  // namespace attnd::test
