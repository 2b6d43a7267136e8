// What the answer to a request must look like.
#include "client/cpp/answer_shapes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace attnd {
namespace {

AttendRequest RequestOf(const Shape& query, const Shape& key, const Shape& value) {
  return {.query = {ElementType::kFloat16, query},
          .key = {ElementType::kFloat16, key},
          .value = {ElementType::kFloat16, value},
          .return_weights = true,
          .return_log_sum_exp = true};
}

TEST(AnswerShapes, FollowTheQuery) {
  struct Case {
    Layout layout;
    Shape query, key, value, output, weights, log_sum_exp;
  };
  const Case cases[] = {
      {Layout::kBhsd, {5, 8}, {7, 8}, {7, 9}, {5, 9}, {5, 7}, {5}},
      {Layout::kBhsd, {3, 5, 8}, {3, 7, 8}, {3, 7, 9}, {3, 5, 9}, {3, 5, 7}, {3, 5}},
      {Layout::kBhsd, {3, 4, 5, 8}, {3, 2, 7, 8}, {3, 2, 7, 9}, {3, 4, 5, 9}, {3, 4, 5, 7}, {3, 4, 5}},
      {Layout::kBshd, {3, 5, 4, 8}, {3, 7, 2, 8}, {3, 7, 2, 9}, {3, 5, 4, 9}, {3, 4, 5, 7}, {3, 4, 5}}};
  for (const Case& expected : cases) {
    AttendRequest request = RequestOf(expected.query, expected.key, expected.value);
    request.layout = expected.layout;
    const auto shapes = ShapesOfAnswer(request);
    ASSERT_TRUE(shapes.has_value());
    EXPECT_EQ((*shapes)[Output::kOutput], (TypedShape{ElementType::kFloat16, expected.output}));
    EXPECT_EQ((*shapes)[Output::kWeights], (TypedShape{ElementType::kFloat32, expected.weights}));
    EXPECT_EQ((*shapes)[Output::kLogSumExp], (TypedShape{ElementType::kFloat32, expected.log_sum_exp}));
  }
}

TEST(AnswerShapes, HoldOnlyWhatWasAskedFor) {
  AttendRequest request = RequestOf({5, 8}, {7, 8}, {7, 9});
  request.return_weights = false;
  request.return_log_sum_exp = false;
  const auto shapes = ShapesOfAnswer(request);
  ASSERT_TRUE(shapes.has_value());
  EXPECT_FALSE((*shapes)[Output::kWeights].has_value());
  EXPECT_FALSE((*shapes)[Output::kLogSumExp].has_value());
  EXPECT_EQ(SizeBytes(*shapes), 5u * 9 * 2);
}

// Every summary of B', H', S' that the choice leaves.
Summaries EverySummary() {
  return {.matrix = MatrixRows{.element_type = ElementType::kFloat16},
          .top_keys = 3,
          .entropy = true,
          .largest_weight = true,
          .first_keys = 2,
          .mean_distance = true,
          .received_sum = true,
          .received_maximum = true,
          .pooled_map = PooledMap{.rows = 4, .columns = 6}};
}

// The shapes of the summaries: where `rows` are [B', H', S'], `entries` [B', H'], and `map` what pooled maps begin
// with.
void ExpectSummaries(const AttendRequest& request, const Shape& rows, const Shape& entries, const Shape& map,
                     std::int64_t keys, std::int64_t received_keys) {
  const auto shapes = ShapesOfAnswer(request);
  ASSERT_TRUE(shapes.has_value());
  const auto with = [](Shape shape, std::initializer_list<std::int64_t> last) {
    shape.insert(shape.end(), last);
    return shape;
  };
  const std::pair<Output, TypedShape> expected[] = {
      {Output::kMatrix, {ElementType::kFloat16, with(rows, {keys})}},
      {Output::kTopKeys, {ElementType::kInt32, with(rows, {3})}},
      {Output::kTopWeights, {ElementType::kFloat32, with(rows, {3})}},
      {Output::kEntropy, {ElementType::kFloat32, rows}},
      {Output::kLargestWeight, {ElementType::kFloat32, rows}},
      {Output::kFirstKeysWeight, {ElementType::kFloat32, rows}},
      {Output::kMeanDistance, {ElementType::kFloat32, rows}},
      {Output::kReceivedSum, {ElementType::kFloat32, with(entries, {received_keys})}},
      {Output::kReceivedMaximum, {ElementType::kFloat32, with(entries, {received_keys})}},
      {Output::kPooledMap, {ElementType::kFloat32, with(map, {4, 6})}}};
  for (const auto& [output, shape] : expected) {
    EXPECT_EQ((*shapes)[output], shape) << static_cast<int>(output);
  }
}

TEST(AnswerShapes, OfSummariesOfAll) {
  AttendRequest request = RequestOf({5, 8}, {7, 8}, {7, 9});
  request.summaries = EverySummary();
  ExpectSummaries(request, {5}, {}, {}, 7, 7);
  request = RequestOf({3, 5, 8}, {3, 7, 8}, {3, 7, 9});
  request.summaries = EverySummary();
  ExpectSummaries(request, {3, 5}, {3}, {3}, 7, 7);
  request = RequestOf({3, 5, 4, 8}, {3, 7, 2, 8}, {3, 7, 2, 9});
  request.layout = Layout::kBshd;
  request.summaries = EverySummary();
  ExpectSummaries(request, {3, 4, 5}, {3, 4}, {3, 4}, 7, 7);
}

TEST(AnswerShapes, OfSummariesOfWhatIsChosen) {
  AttendRequest request = RequestOf({3, 4, 5, 8}, {3, 2, 7, 8}, {3, 2, 7, 9});
  request.summaries = EverySummary();
  request.summaries.batch_entries = {1};
  request.summaries.heads = {0, 2, 3};
  request.summaries.query_rows = {0, 4};
  ExpectSummaries(request, {1, 3, 2}, {1, 3}, {1, 3}, 7, 7);
  request.summaries.head_reduction = HeadReduction::kMean;
  ExpectSummaries(request, {1, 2}, {1}, {1}, 7, 7);
  EXPECT_EQ((*ShapesOfAnswer(request))[Output::kWeights], (TypedShape{ElementType::kFloat32, {3, 4, 5, 7}}));
}

TEST(AnswerShapes, OfARaggedBatch) {
  AttendRequest request = RequestOf({10, 4, 8}, {12, 2, 8}, {12, 2, 9});
  request.ragged = RaggedBatch{.query_offsets = {0, 3, 3, 10}, .key_offsets = {0, 5, 12, 12}};
  const auto shapes = ShapesOfAnswer(request);
  ASSERT_TRUE(shapes.has_value());
  EXPECT_EQ((*shapes)[Output::kOutput], (TypedShape{ElementType::kFloat16, {10, 4, 9}}));
  EXPECT_EQ((*shapes)[Output::kWeights], (TypedShape{ElementType::kFloat32, {4, 10, 7}}));
  EXPECT_EQ((*shapes)[Output::kLogSumExp], (TypedShape{ElementType::kFloat32, {4, 10}}));
  request.summaries = EverySummary();
  ExpectSummaries(request, {4, 10}, {4}, {3, 4}, 7, 12);
  request.summaries.query_rows = {9};
  request.summaries.head_reduction = HeadReduction::kSum;
  ExpectSummaries(request, {1}, {}, {3}, 7, 12);
}

TEST(AnswerShapes, OffsetsOfNoRaggedBatchHaveNone) {
  AttendRequest request = RequestOf({10, 4, 8}, {12, 2, 8}, {12, 2, 9});
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const std::vector<std::int64_t>& offsets :
       std::vector<std::vector<std::int64_t>>{{}, {0}, {1, 12}, {0, 5, 4}, {-kMost, kMost}}) {
    request.ragged = RaggedBatch{.query_offsets = {0, 10}, .key_offsets = offsets};
    EXPECT_FALSE(ShapesOfAnswer(request).has_value());
  }
}

TEST(AnswerShapes, CountAllBytes) {
  EXPECT_EQ(SizeBytes(*ShapesOfAnswer(RequestOf({5, 8}, {7, 8}, {7, 9}))), 5u * 9 * 2 + 5 * 7 * 4 + 5 * 4);
}

TEST(AnswerShapes, AreCountedWithoutOverflow) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(SizeBytes(*ShapesOfAnswer(RequestOf({kMost, 1}, {kMost, 1}, {kMost, kMost}))),
            static_cast<std::size_t>(kMost));
}

TEST(AnswerShapes, WhatIsNoProblemHasNone) {
  EXPECT_FALSE(ShapesOfAnswer(RequestOf({}, {}, {})).has_value());
  EXPECT_FALSE(ShapesOfAnswer(RequestOf({8}, {8}, {8})).has_value());
  EXPECT_FALSE(ShapesOfAnswer(RequestOf({1, 1, 1, 5, 8}, {1, 1, 1, 5, 8}, {1, 1, 1, 5, 8})).has_value());
  EXPECT_FALSE(ShapesOfAnswer(RequestOf({5, 8}, {1, 7, 8}, {7, 9})).has_value());
}

}  // namespace
}  // namespace attnd
