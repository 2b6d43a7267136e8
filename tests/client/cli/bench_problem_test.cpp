// The shapes of `attnctl bench`, what they cost, and their elements.
#include "client/cli/bench_problem.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

namespace attnd::cli {
namespace {

using testing::HasSubstr;

TEST(BenchProblem, PresetsHaveNames) {
  for (const std::string& name : BenchPresetNames()) {
    const auto shape = BenchPreset(name);
    ASSERT_TRUE(shape.ok()) << shape.status();
    EXPECT_TRUE(BenchProblem::Create(*shape).ok());
  }
  EXPECT_EQ(ToString(*BenchPreset("minilm-layer")), "float32 B3 H12 S15 D32, key lengths 15,12,9");
  EXPECT_EQ(ToString(*BenchPreset("bert-base-layer")), "float32 B8 H12 S512 D64");
  const absl::Status unknown = BenchPreset("gpt").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("'gpt' found, one of bert-base-layer, minilm-layer expected"));
}

BenchShape Small() {
  return {.batch = 2,
          .heads = 4,
          .key_value_heads = 2,
          .queries = 3,
          .keys = 5,
          .head_size = 8,
          .value_head_size = 16,
          .element_type = ElementType::kBfloat16};
}

TEST(BenchProblem, ARequestHasTheShape) {
  const auto problem = BenchProblem::Create(Small());
  ASSERT_TRUE(problem.ok()) << problem.status();
  const AttendRequest request = problem->request();
  EXPECT_EQ(request.query.shape, (Shape{2, 4, 3, 8}));
  EXPECT_EQ(request.key.shape, (Shape{2, 2, 5, 8}));
  EXPECT_EQ(request.value.shape, (Shape{2, 2, 5, 16}));
  EXPECT_EQ(request.value.element_type, ElementType::kBfloat16);
  EXPECT_EQ(problem->tensor_bytes(), 2 * (2 * 4 * 3 * (8 + 16) + 2 * 2 * 5 * (8 + 16)));
  EXPECT_EQ(ToString(problem->shape()), "bfloat16 B2 H4 KV2 S3 Skv5 D8 Dv16");
}

TEST(BenchProblem, UsefulOperationsAreThoseOfKeysThatAreSeen) {
  BenchShape shape = Small();
  const double of_a_pair = 2.0 * (8 + 16) * 4;  // in all heads
  EXPECT_EQ(UsefulOperations(shape), of_a_pair * 2 * 3 * 5);
  shape.key_lengths = {4, 1};
  EXPECT_EQ(UsefulOperations(shape), of_a_pair * 3 * (4 + 1));
  shape.causal = CausalAlignment::kTopLeft;
  EXPECT_EQ(UsefulOperations(shape), of_a_pair * ((1 + 2 + 3) + (1 + 1 + 1)));
  shape.causal = CausalAlignment::kBottomRight;
  EXPECT_EQ(UsefulOperations(shape), of_a_pair * ((3 + 4 + 4) + (1 + 1 + 1)));
}

TEST(BenchProblem, ElementsAreTheSameInEveryRunAndOfTheirType) {
  BenchShape shape = Small();
  shape.element_type = ElementType::kFloat32;
  const auto first = BenchProblem::Create(shape);
  const auto second = BenchProblem::Create(shape);
  ASSERT_TRUE(first.ok() && second.ok());
  const auto size = static_cast<std::size_t>(2 * 4 * 3 * 8);
  EXPECT_EQ(std::memcmp(first->request().query.data, second->request().query.data, size * sizeof(float)), 0);
  const auto* const query = static_cast<const float*>(first->request().query.data);
  const auto* const key = static_cast<const float*>(first->request().key.data);
  EXPECT_NE(query[0], key[0]);

  shape.element_type = ElementType::kFloat16;
  const auto half = BenchProblem::Create(shape);
  ASSERT_TRUE(half.ok());
  const auto* const halves = static_cast<const _Float16*>(half->request().query.data);
  for (std::size_t i = 0; i < size; ++i) {
    EXPECT_LE(std::abs(query[i]), 1);
    EXPECT_NEAR(static_cast<float>(halves[i]), query[i], 1e-3);
  }
}

TEST(BenchProblem, ASizeThatIsNoneIsRefusedByItsOption) {
  BenchShape shape = Small();
  shape.keys = 0;
  const absl::Status status = BenchProblem::Create(shape).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), "--keys: 0 found, 1 to 2147483647 expected");
}

TEST(BenchProblem, SizesWhoseProductDoesNotFitAreRefused) {
  BenchShape shape = Small();
  shape.batch = shape.heads = shape.queries = 2147483647;
  EXPECT_EQ(BenchProblem::Create(shape).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace attnd::cli
