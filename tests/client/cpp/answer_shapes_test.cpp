// What the answer to a request must look like.
#include "client/cpp/answer_shapes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>

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
    EXPECT_EQ(shapes->output, (TypedShape{ElementType::kFloat16, expected.output}));
    EXPECT_EQ(shapes->weights, (TypedShape{ElementType::kFloat32, expected.weights}));
    EXPECT_EQ(shapes->log_sum_exp, (TypedShape{ElementType::kFloat32, expected.log_sum_exp}));
  }
}

TEST(AnswerShapes, HoldOnlyWhatWasAskedFor) {
  AttendRequest request = RequestOf({5, 8}, {7, 8}, {7, 9});
  request.return_weights = false;
  request.return_log_sum_exp = false;
  const auto shapes = ShapesOfAnswer(request);
  ASSERT_TRUE(shapes.has_value());
  EXPECT_FALSE(shapes->weights.has_value());
  EXPECT_FALSE(shapes->log_sum_exp.has_value());
  EXPECT_EQ(SizeBytes(*shapes), 5u * 9 * 2);
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
