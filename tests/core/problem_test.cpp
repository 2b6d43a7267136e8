// What CheckProblem refuses, with which text, and what it makes of what it takes.
#include "core/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

namespace attnd::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kHuge = std::int64_t{1} << 40;

TensorDescription Float32(Shape shape) { return {ElementType::kFloat32, std::move(shape)}; }
TensorDescription Bool(Shape shape) { return {ElementType::kBool, std::move(shape)}; }

// Says of each tensor that all of its bytes came; a tensor whose size overflows keeps 0.
void FillSizes(ProblemDescription& d) {
  d.query_size_bytes = SizeBytes(d.query, "").value_or(0);
  d.key_size_bytes = SizeBytes(d.key, "").value_or(0);
  d.value_size_bytes = SizeBytes(d.value, "").value_or(0);
  if (d.mask.boolean) d.mask_size_bytes = SizeBytes(*d.mask.boolean, "").value_or(0);
}

// B 2, H 6, Hkv 3, Sq 4, Sk 5, D 8, Dv 7.
ProblemDescription Grouped() {
  ProblemDescription d;
  d.query = Float32({2, 6, 4, 8});
  d.key = Float32({2, 3, 5, 8});
  d.value = Float32({2, 3, 5, 7});
  FillSizes(d);
  return d;
}

ProblemDescription SequenceBeforeHeads() {
  ProblemDescription d;
  d.query = Float32({2, 4, 6, 8});
  d.key = Float32({2, 5, 3, 8});
  d.value = Float32({2, 5, 3, 7});
  d.layout = Layout::kBshd;
  FillSizes(d);
  return d;
}

struct Refusal {
  std::string name;
  std::function<void(ProblemDescription&)> change;
  std::string text;
  bool sizes_follow = true;  // whether the bytes that came are those of the changed shapes
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, NamesTheFieldWhatWasFoundAndWhatWasExpected) {
  ProblemDescription d = Grouped();
  GetParam().change(d);
  if (GetParam().sizes_follow) FillSizes(d);
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_FALSE(problem.ok());
  EXPECT_EQ(problem.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(problem.status().message(), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    ElementTypes, RefusalTest,
    ::testing::Values(Refusal{"QueryOfIntegers", [](auto& d) { d.query.element_type = ElementType::kInt32; },
                              "problem.query.element_type: int32 found, float32, bfloat16 or float16 expected"},
                      Refusal{"QueryOfBooleans", [](auto& d) { d.query.element_type = ElementType::kBool; },
                              "problem.query.element_type: bool found, float32, bfloat16 or float16 expected"},
                      Refusal{"KeyNotLikeQuery", [](auto& d) { d.key.element_type = ElementType::kBfloat16; },
                              "problem.tensors.key.element_type: bfloat16 found, the query's float32 expected"},
                      Refusal{"ValueNotLikeQuery", [](auto& d) { d.value.element_type = ElementType::kFloat16; },
                              "problem.tensors.value.element_type: float16 found, the query's float32 expected"}),
    [](const auto& refusal) { return refusal.param.name; });

INSTANTIATE_TEST_SUITE_P(Ranks, RefusalTest,
                         ::testing::Values(Refusal{"QueryWithoutShape", [](auto& d) { d.query.shape = {}; },
                                                   "problem.query.shape: rank 0 found, 2, 3 or 4 expected"},
                                           Refusal{"QueryOfRank1", [](auto& d) { d.query.shape = {8}; },
                                                   "problem.query.shape: rank 1 found, 2, 3 or 4 expected"},
                                           Refusal{"QueryOfRank5", [](auto& d) { d.query.shape = {1, 2, 6, 4, 8}; },
                                                   "problem.query.shape: rank 5 found, 2, 3 or 4 expected"},
                                           Refusal{"SequenceBeforeHeadsOfRank3",
                                                   [](auto& d) {
                                                     d.query.shape = {2, 4, 8};
                                                     d.layout = Layout::kBshd;
                                                   },
                                                   "problem.query.shape: rank 3 found, 4 expected with LAYOUT_BSHD"},
                                           Refusal{"KeyOfOtherRank", [](auto& d) { d.key.shape = {2, 5, 8}; },
                                                   "problem.tensors.key.shape: rank 3 found, the query's 4 expected"},
                                           Refusal{
                                               "ValueOfOtherRank", [](auto& d) { d.value.shape = {5, 7}; },
                                               "problem.tensors.value.shape: rank 2 found, the query's 4 expected"}),
                         [](const auto& refusal) { return refusal.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Dimensions, RefusalTest,
    ::testing::Values(
        Refusal{"ZeroRows", [](auto& d) { d.query.shape[2] = 0; },
                "problem.query.shape: dimension 2 is 0, expected at least 1; the shape is [2, 6, 0, 8]"},
        Refusal{"NegativeBatch", [](auto& d) { d.key.shape[0] = -1; },
                "problem.tensors.key.shape: dimension 0 is -1, expected at least 1; the shape is [-1, 3, 5, 8]"},
        Refusal{"ZeroValueHeadSize", [](auto& d) { d.value.shape[3] = 0; },
                "problem.tensors.value.shape: dimension 3 is 0, expected at least 1; the shape is [2, 3, 5, 0]"},
        Refusal{"LeastNumber", [](auto& d) { d.query.shape[1] = std::numeric_limits<std::int64_t>::min(); },
                "problem.query.shape: dimension 1 is -9223372036854775808, expected at least 1; the shape is "
                "[2, -9223372036854775808, 4, 8]"},
        Refusal{"KeyOfOtherHeadSize", [](auto& d) { d.key.shape[3] = 9; },
                "problem.tensors.key.shape: head size 9 found, the query's 8 expected"},
        Refusal{"KeyOfOtherBatch", [](auto& d) { d.key.shape[0] = 1; },
                "problem.tensors.key.shape: batch 1 found, the query's 2 expected"},
        Refusal{"ValueOfOtherBatch", [](auto& d) { d.value.shape[0] = 3; },
                "problem.tensors.value.shape: batch 3 found, the query's 2 expected"},
        Refusal{"HeadsThatDoNotDivide", [](auto& d) { d.key.shape[1] = d.value.shape[1] = 4; },
                "problem.tensors.key.shape: 4 heads found, a divisor of the query's 6 expected"},
        Refusal{"MoreKeyHeadsThanQueryHeads", [](auto& d) { d.key.shape[1] = d.value.shape[1] = 12; },
                "problem.tensors.key.shape: 12 heads found, a divisor of the query's 6 expected"},
        Refusal{"ValueOfOtherHeads", [](auto& d) { d.value.shape[1] = 6; },
                "problem.tensors.value.shape: 6 heads found, the key's 3 expected"},
        Refusal{"ValueOfOtherRows", [](auto& d) { d.value.shape[2] = 4; },
                "problem.tensors.value.shape: 4 rows found, the key's 5 expected"},
        Refusal{"TooLargeHeadSize", [](auto& d) { d.query.shape[3] = d.key.shape[3] = kMaxHeadSize + 1; },
                "problem.query.shape: head size 1025 found, at most 1024 expected"},
        Refusal{"TooLargeValueHeadSize", [](auto& d) { d.value.shape[3] = kMaxHeadSize + 1; },
                "problem.tensors.value.shape: head size 1025 found, at most 1024 expected"},
        Refusal{"QueryOverflows", [](auto& d) { d.query.shape = {kHuge, kHuge, kHuge, 8}; },
                "problem.query.shape: [1099511627776, 1099511627776, 1099511627776, 8] takes more bytes than fit in 63 "
                "bits"},
        Refusal{"KeyOverflows", [](auto& d) { d.key.shape = {2, 3, std::numeric_limits<std::int64_t>::max(), 8}; },
                "problem.tensors.key.shape: [2, 3, 9223372036854775807, 8] takes more bytes than fit in 63 bits"},
        Refusal{"ValueOverflowsByTheElementSize", [](auto& d) { d.value.shape = {1, 1, std::int64_t{1} << 61, 1}; },
                "problem.tensors.value.shape: [1, 1, 2305843009213693952, 1] takes more bytes than fit in 63 bits"}),
    [](const auto& refusal) { return refusal.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Bytes, RefusalTest,
    ::testing::Values(
        Refusal{"QueryTooShort", [](auto& d) { d.query_size_bytes = 1535; },
                "query_data: 1535 bytes found, 1536 expected for problem.query of float32 [2, 6, 4, 8]", false},
        Refusal{"KeyTooLong", [](auto& d) { d.key_size_bytes = 961; },
                "key_data: 961 bytes found, 960 expected for problem.tensors.key of float32 [2, 3, 5, 8]", false},
        Refusal{"ValueMissing", [](auto& d) { d.value_size_bytes = 0; },
                "value_data: 0 bytes found, 840 expected for problem.tensors.value of float32 [2, 3, 5, 7]", false},
        Refusal{"MaskMissing", [](auto& d) { d.mask.boolean = Bool({4, 5}); },
                "mask_data: 0 bytes found, 20 expected for problem.mask.boolean.tensor of bool [4, 5]", false},
        Refusal{"MaskTooShort",
                [](auto& d) {
                  d.mask.boolean = Bool({4, 5});
                  d.mask_size_bytes = 19;
                },
                "mask_data: 19 bytes found, 20 expected for problem.mask.boolean.tensor of bool [4, 5]", false},
        Refusal{"MaskDataWithoutMask", [](auto& d) { d.mask_size_bytes = 20; },
                "mask_data: 20 bytes found, none expected without problem.mask.boolean", false},
        Refusal{"EmptyMaskDataWithoutMask", [](auto& d) { d.mask_size_bytes = 0; },
                "mask_data: 0 bytes found, none expected without problem.mask.boolean", false}),
    [](const auto& refusal) { return refusal.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Options, RefusalTest,
    ::testing::Values(
        Refusal{"ScaleNan", [](auto& d) { d.scale = std::numeric_limits<double>::quiet_NaN(); },
                "problem.scale: nan found, a finite number of at most 1e+38 in magnitude expected"},
        Refusal{"ScaleInfinite", [](auto& d) { d.scale = -std::numeric_limits<double>::infinity(); },
                "problem.scale: -inf found, a finite number of at most 1e+38 in magnitude expected"},
        Refusal{"ScaleTooLarge", [](auto& d) { d.scale = 1.0001e38; },
                "problem.scale: 1.0001e+38 found, a finite number of at most 1e+38 in magnitude expected"},
        Refusal{
            "CausalWithoutAlignment", [](auto& d) { d.mask.causal = CausalAlignment::kUnspecified; },
            "problem.mask.causal.alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since "
            "4 query rows and 5 keys differ"},
        Refusal{"TooFewLengths", [](auto& d) { d.mask.key_lengths = {{5}}; },
                "problem.mask.key_lengths.lengths: 1 lengths found, one for each of 2 batch entries expected"},
        Refusal{"TooManyLengths", [](auto& d) { d.mask.key_lengths = {{5, 5, 5}}; },
                "problem.mask.key_lengths.lengths: 3 lengths found, one for each of 2 batch entries expected"},
        Refusal{"NegativeLength", [](auto& d) { d.mask.key_lengths = {{5, -1}}; },
                "problem.mask.key_lengths.lengths[1]: -1 found, 0 to 5 (the number of keys) expected"},
        Refusal{"LengthPastTheKeys", [](auto& d) { d.mask.key_lengths = {{6, 5}}; },
                "problem.mask.key_lengths.lengths[0]: 6 found, 0 to 5 (the number of keys) expected"},
        Refusal{"MaskOfOtherType", [](auto& d) { d.mask.boolean = Float32({4, 5}); },
                "problem.mask.boolean.tensor.element_type: float32 found, bool expected"},
        Refusal{
            "MaskOfHigherRank", [](auto& d) { d.mask.boolean = Bool({1, 2, 6, 4, 5}); },
            "problem.mask.boolean.tensor.shape: rank 5 found, at most 4, that of the weights [2, 6, 4, 5], expected"},
        Refusal{"MaskThatDoesNotBroadcast", [](auto& d) { d.mask.boolean = Bool({2, 3, 4, 5}); },
                "problem.mask.boolean.tensor.shape: [2, 3, 4, 5] found, which does not broadcast to the weights' "
                "[2, 6, 4, 5]: dimension 1 is 3, 1 or 6 expected"},
        Refusal{"MaskWithZeroDimension", [](auto& d) { d.mask.boolean = Bool({0, 5}); },
                "problem.mask.boolean.tensor.shape: dimension 0 is 0, expected at least 1; the shape is [0, 5]"},
        Refusal{
            "MaskOverflows", [](auto& d) { d.mask.boolean = Bool({kHuge, kHuge}); },
            "problem.mask.boolean.tensor.shape: [1099511627776, 1099511627776] takes more bytes than fit in 63 bits"}),
    [](const auto& refusal) { return refusal.param.name; });

TEST(RefusalOfTheAnswer, WhereItsSizeOverflows) {
  // 2³⁰ rows and 2³⁰ keys of head size 1: their weights take 2⁶² · 4 bytes.
  ProblemDescription d;
  d.query = Float32({4, std::int64_t{1} << 30, 1});
  d.key = d.value = Float32({4, std::int64_t{1} << 30, 1});
  FillSizes(d);
  EXPECT_TRUE(CheckProblem(d, {}).ok());
  d.return_weights = true;
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  EXPECT_EQ(problem.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(problem.status().message(),
            "result.weights.shape: [4, 1073741824, 1073741824] takes more bytes than fit in 63 bits");
}

TEST(RefusalOfTheAnswer, WhereTheOutputIsLargerThanTheInputs) {
  ProblemDescription d;
  d.query = Float32({std::int64_t{1} << 53, 1});
  d.key = Float32({1, 1});
  d.value = Float32({1, 1024});
  FillSizes(d);
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  EXPECT_EQ(problem.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(problem.status().message()),
              HasSubstr("result.output.shape: [9007199254740992, 1024] takes more"));
}

TEST(RefusalOfTheAnswer, WhereItIsOverTheLimit) {
  ProblemDescription d = Grouped();
  d.return_weights = true;
  d.return_log_sum_exp = true;
  const std::int64_t output_size_bytes = 2 * 6 * 4 * 7 * 4;
  const std::int64_t weights_size_bytes = 2 * 6 * 4 * 5 * 4;
  const std::int64_t log_sum_exp_size_bytes = 2 * 6 * 4 * 4;
  const std::int64_t total = output_size_bytes + weights_size_bytes + log_sum_exp_size_bytes;
  EXPECT_TRUE(CheckProblem(d, {.max_answer_bytes = total}).ok());
  const absl::StatusOr<Problem> problem = CheckProblem(d, {.max_answer_bytes = total - 1});
  EXPECT_EQ(problem.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(problem.status().message(),
            "result: the answer's tensors take 2496 bytes, at most 2495 (limits.max_message_bytes) expected");
}

TEST(CheckProblemTest, TakesTheLargestHeadSize) {
  ProblemDescription d = Grouped();
  d.query.shape[3] = d.key.shape[3] = d.value.shape[3] = kMaxHeadSize;
  FillSizes(d);
  EXPECT_TRUE(CheckProblem(d, {}).ok());
}

TEST(CheckProblemTest, DescribesSizesStridesAndTheAnswer) {
  ProblemDescription d = Grouped();
  d.return_weights = true;
  d.return_log_sum_exp = true;
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->batch, 2);
  EXPECT_EQ(problem->query_heads, 6);
  EXPECT_EQ(problem->key_value_heads, 3);
  EXPECT_EQ(problem->query_rows, 4);
  EXPECT_EQ(problem->keys, 5);
  EXPECT_EQ(problem->head_size, 8);
  EXPECT_EQ(problem->value_head_size, 7);
  EXPECT_FLOAT_EQ(problem->scale, 0.35355339F);
  EXPECT_EQ(problem->value_strides.batch, 3 * 5 * 7);
  EXPECT_EQ(problem->value_strides.head, 5 * 7);
  EXPECT_EQ(problem->value_strides.row, 7);
  EXPECT_EQ(problem->output_strides.batch, 6 * 4 * 7);
  EXPECT_EQ(problem->output.shape, Shape({2, 6, 4, 7}));
  EXPECT_EQ(problem->weights->shape, Shape({2, 6, 4, 5}));
  EXPECT_EQ(problem->log_sum_exp->shape, Shape({2, 6, 4}));
  EXPECT_EQ(problem->output_size_bytes, 1344);
  EXPECT_EQ(problem->weights_size_bytes, 960);
  EXPECT_EQ(problem->log_sum_exp_size_bytes, 192);
  EXPECT_THAT(problem->causal_offsets, IsEmpty());
  EXPECT_FALSE(problem->boolean_mask.has_value());
}

TEST(CheckProblemTest, TakesTheLayoutWithSequenceBeforeHeads) {
  ProblemDescription d = SequenceBeforeHeads();
  d.return_weights = true;
  d.return_log_sum_exp = true;
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->query_heads, 6);
  EXPECT_EQ(problem->query_rows, 4);
  EXPECT_EQ(problem->key_strides.batch, 5 * 3 * 8);
  EXPECT_EQ(problem->key_strides.head, 8);
  EXPECT_EQ(problem->key_strides.row, 3 * 8);
  EXPECT_EQ(problem->output.shape, Shape({2, 4, 6, 7}));
  EXPECT_EQ(problem->output_strides.row, 6 * 7);
  EXPECT_EQ(problem->weights->shape, Shape({2, 6, 4, 5}));
  EXPECT_EQ(problem->log_sum_exp->shape, Shape({2, 6, 4}));
}

TEST(CheckProblemTest, LeavesOutOfTheAnswerWhatIsNotAskedFor) {
  const absl::StatusOr<Problem> problem = CheckProblem(Grouped(), {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_FALSE(problem->weights.has_value());
  EXPECT_FALSE(problem->log_sum_exp.has_value());
  EXPECT_EQ(problem->weights_size_bytes, 0);
  EXPECT_EQ(problem->log_sum_exp_size_bytes, 0);
}

TEST(CheckProblemTest, TakesRanks2And3) {
  ProblemDescription d;
  d.query = Float32({4, 8});
  d.key = Float32({5, 8});
  d.value = Float32({5, 7});
  d.return_weights = true;
  d.return_log_sum_exp = true;
  FillSizes(d);
  absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->batch, 1);
  EXPECT_EQ(problem->query_heads, 1);
  EXPECT_EQ(problem->weights->shape, Shape({4, 5}));
  EXPECT_EQ(problem->log_sum_exp->shape, Shape({4}));

  d.query.shape.insert(d.query.shape.begin(), 3);
  d.key.shape.insert(d.key.shape.begin(), 3);
  d.value.shape.insert(d.value.shape.begin(), 3);
  FillSizes(d);
  problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->batch, 3);
  EXPECT_EQ(problem->query_strides.batch, 4 * 8);
  EXPECT_EQ(problem->weights->shape, Shape({3, 4, 5}));
  EXPECT_EQ(problem->log_sum_exp->shape, Shape({3, 4}));
}

TEST(CheckProblemTest, CountsTheCausalOffset) {
  ProblemDescription d = Grouped();
  d.mask.causal = CausalAlignment::kTopLeft;
  EXPECT_THAT(CheckProblem(d, {})->causal_offsets, ElementsAre(0, 0));
  d.mask.causal = CausalAlignment::kBottomRight;
  EXPECT_THAT(CheckProblem(d, {})->causal_offsets, ElementsAre(1, 1));
  d.query.shape[2] = 9;
  FillSizes(d);
  EXPECT_THAT(CheckProblem(d, {})->causal_offsets, ElementsAre(-4, -4));
  d.mask.causal = CausalAlignment::kUnspecified;
  d.query.shape[2] = 5;
  FillSizes(d);
  EXPECT_THAT(CheckProblem(d, {})->causal_offsets, ElementsAre(0, 0));
}

TEST(CheckProblemTest, TakesCausalOffsetsAsTheyAreGiven) {
  ProblemDescription d = Grouped();
  d.mask.causal_offsets = {-2, 3};
  EXPECT_THAT(CheckProblem(d, {})->causal_offsets, ElementsAre(-2, 3));
  // Farther away than there are rows or keys they say no more, and must not overflow.
  d.mask.causal_offsets = {INT64_MIN, INT64_MAX};
  EXPECT_THAT(CheckProblem(d, {})->causal_offsets, ElementsAre(-4, 5));
}

TEST(CheckProblemTest, TakesLengthsFromNoneToAllKeys) {
  ProblemDescription d = Grouped();
  d.mask.key_lengths = {{0, 5}};
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->key_lengths, (std::vector<std::int64_t>{0, 5}));
}

TEST(CheckProblemTest, TakesAScaleOfEitherSignAndZero) {
  ProblemDescription d = Grouped();
  for (const double scale : {0.0, -2.5, 1e38}) {
    d.scale = scale;
    const absl::StatusOr<Problem> problem = CheckProblem(d, {});
    ASSERT_TRUE(problem.ok()) << problem.status();
    EXPECT_EQ(problem->scale, static_cast<float>(scale));
  }
}

struct Broadcast {
  Shape mask;
  MaskStrides strides;
};

TEST(CheckProblemTest, BroadcastsTheMaskFromTheRight) {
  const std::vector<Broadcast> broadcasts = {
      {{}, {}},
      {{5}, {.key = 1}},
      {{1}, {}},
      {{4, 5}, {.query = 5, .key = 1}},
      {{4, 1}, {.query = 1}},
      {{1, 5}, {.key = 1}},
      {{6, 4, 5}, {.head = 20, .query = 5, .key = 1}},
      {{6, 1, 1}, {.head = 1}},
      {{2, 6, 4, 5}, {.batch = 120, .head = 20, .query = 5, .key = 1}},
      {{2, 1, 1, 5}, {.batch = 5, .key = 1}},
      {{1, 6, 4, 1}, {.head = 4, .query = 1}},
      {{2, 1, 4, 5}, {.batch = 20, .query = 5, .key = 1}},
  };
  for (const Broadcast& broadcast : broadcasts) {
    SCOPED_TRACE(ToString(broadcast.mask));
    ProblemDescription d = Grouped();
    d.mask.boolean = Bool(broadcast.mask);
    FillSizes(d);
    const absl::StatusOr<Problem> problem = CheckProblem(d, {});
    ASSERT_TRUE(problem.ok()) << problem.status();
    ASSERT_TRUE(problem->boolean_mask.has_value());
    EXPECT_EQ(problem->boolean_mask->batch, broadcast.strides.batch);
    EXPECT_EQ(problem->boolean_mask->head, broadcast.strides.head);
    EXPECT_EQ(problem->boolean_mask->query, broadcast.strides.query);
    EXPECT_EQ(problem->boolean_mask->key, broadcast.strides.key);
  }
}

TEST(CheckProblemTest, BroadcastsTheMaskToTheWeightsWhateverTheLayout) {
  ProblemDescription d = SequenceBeforeHeads();
  d.mask.boolean = Bool({2, 6, 4, 5});
  FillSizes(d);
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->boolean_mask->head, 20);
  EXPECT_EQ(problem->boolean_mask->query, 5);
}

TEST(CheckProblemTest, BroadcastsTheFirstOfThreeDimensionsOverTheBatch) {
  ProblemDescription d;
  d.query = Float32({3, 4, 8});
  d.key = d.value = Float32({3, 5, 8});
  d.mask.boolean = Bool({3, 1, 5});
  FillSizes(d);
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->boolean_mask->batch, 5);
  EXPECT_EQ(problem->boolean_mask->head, 0);
  EXPECT_EQ(problem->boolean_mask->query, 0);
}

}  // namespace
}  // namespace attnd::core
