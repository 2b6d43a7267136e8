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

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kHuge = std::int64_t{1} << 40;

TensorDescription Float32(Shape shape) { return {ElementType::kFloat32, std::move(shape)}; }
TensorDescription Bool(Shape shape) { return {ElementType::kBool, std::move(shape)}; }

TensorDescription Int32(Shape shape) { return {ElementType::kInt32, std::move(shape)}; }

CausalOptions Aligned(Alignment alignment) {
  return {.positions = {.alignment = alignment, .offsets = {}}, .prefix_lengths = {}};
}

// Says of each tensor that all of its bytes came; a tensor whose size overflows keeps 0.
void FillSizes(ProblemDescription& d) {
  d.size_bytes[Input::kQuery] = SizeBytes(d.query, "").value_or(0);
  d.size_bytes[Input::kKey] = SizeBytes(d.key, "").value_or(0);
  d.size_bytes[Input::kValue] = SizeBytes(d.value, "").value_or(0);
  if (d.mask.boolean) d.size_bytes[Input::kMask] = SizeBytes(*d.mask.boolean, "").value_or(0);
  if (d.modifiers.bias) d.size_bytes[Input::kBias] = SizeBytes(*d.modifiers.bias, "").value_or(0);
  if (d.mask.segments) {
    d.size_bytes[Input::kQuerySegmentIds] = SizeBytes(d.mask.segments->query, "").value_or(0);
    d.size_bytes[Input::kKeySegmentIds] = SizeBytes(d.mask.segments->key, "").value_or(0);
  }
  if (d.mask.blocks) d.size_bytes[Input::kBlockMask] = SizeBytes(d.mask.blocks->tensor, "").value_or(0);
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
        Refusal{"QueryTooShort", [](auto& d) { d.size_bytes[Input::kQuery] = 1535; },
                "query_data: 1535 bytes found, 1536 expected for problem.query of float32 [2, 6, 4, 8]", false},
        Refusal{"KeyTooLong", [](auto& d) { d.size_bytes[Input::kKey] = 961; },
                "key_data: 961 bytes found, 960 expected for problem.tensors.key of float32 [2, 3, 5, 8]", false},
        Refusal{"ValueMissing", [](auto& d) { d.size_bytes[Input::kValue] = 0; },
                "value_data: 0 bytes found, 840 expected for problem.tensors.value of float32 [2, 3, 5, 7]", false},
        Refusal{"MaskMissing", [](auto& d) { d.mask.boolean = Bool({4, 5}); },
                "mask_data: 0 bytes found, 20 expected for problem.mask.boolean.tensor of bool [4, 5]", false},
        Refusal{"MaskTooShort",
                [](auto& d) {
                  d.mask.boolean = Bool({4, 5});
                  d.size_bytes[Input::kMask] = 19;
                },
                "mask_data: 19 bytes found, 20 expected for problem.mask.boolean.tensor of bool [4, 5]", false},
        Refusal{"MaskDataWithoutMask", [](auto& d) { d.size_bytes[Input::kMask] = 20; },
                "mask_data: 20 bytes found, none expected without problem.mask.boolean", false}),
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
            "CausalWithoutAlignment", [](auto& d) { d.mask.causal.emplace(); },
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

INSTANTIATE_TEST_SUITE_P(
    Masks, RefusalTest,
    ::testing::Values(
        Refusal{"AlignmentBesideOffsets",
                [](auto& d) {
                  d.mask.causal = Aligned(Alignment::kTopLeft);
                  d.mask.causal->positions.offsets = {1, 1};
                },
                "problem.mask.causal.alignment: given beside offsets, one of the two expected"},
        Refusal{"PositionsSaidTwice",
                [](auto& d) {
                  d.mask.causal = Aligned(Alignment::kTopLeft);
                  d.positions.offsets = {1, 1};
                },
                "problem.positions: given beside an alignment or offsets of problem.mask.causal, one of the two "
                "expected"},
        Refusal{"TooFewOffsets", [](auto& d) { d.positions.offsets = {1}; },
                "problem.positions.offsets: 1 offsets found, one for each of 2 batch entries expected"},
        Refusal{"WindowWithoutPositions", [](auto& d) { d.mask.window = WindowOptions{.left = 2, .right = {}}; },
                "problem.positions.alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since "
                "4 query rows and 5 keys differ and problem.mask.window counts from where the rows stand"},
        Refusal{"NegativeWindow",
                [](auto& d) {
                  d.positions.alignment = Alignment::kTopLeft;
                  d.mask.window = WindowOptions{.left = 2, .right = -1};
                },
                "problem.mask.window.right: -1 found, at least 0 expected"},
        Refusal{"PrefixPastTheKeys",
                [](auto& d) {
                  d.mask.causal = Aligned(Alignment::kTopLeft);
                  d.mask.causal->prefix_lengths = {5, 6};
                },
                "problem.mask.causal.prefix_lengths[1]: 6 found, 0 to 5 (the number of keys) expected"},
        Refusal{"QueryLengthPastTheRows", [](auto& d) { d.mask.query_lengths = {{5, 1}}; },
                "problem.mask.query_lengths.lengths[0]: 5 found, 0 to 4 (the number of query rows) expected"},
        Refusal{"SegmentsOfOtherType",
                [](auto& d) { d.mask.segments = SegmentOptions{.query = Float32({2, 4}), .key = Int32({2, 5})}; },
                "problem.mask.segments.query.element_type: float32 found, int32 expected"},
        Refusal{"SegmentsOfOtherShape",
                [](auto& d) { d.mask.segments = SegmentOptions{.query = Int32({2, 4}), .key = Int32({1, 5})}; },
                "problem.mask.segments.key.shape: [1, 5] found, [2, 5] expected"},
        Refusal{"SegmentsMissing",
                [](auto& d) { d.mask.segments = SegmentOptions{.query = Int32({2, 4}), .key = Int32({2, 5})}; },
                "query_segment_ids_data: 0 bytes found, 32 expected for problem.mask.segments.query of int32 [2, 4]",
                false},
        Refusal{"SegmentIdsWithoutSegments", [](auto& d) { d.size_bytes[Input::kKeySegmentIds] = 40; },
                "key_segment_ids_data: 40 bytes found, none expected without problem.mask.segments", false},
        Refusal{"BlocksWithoutRows", [](auto& d) { d.mask.blocks = BlockMaskOptions{0, 2, Bool({1, 3})}; },
                "problem.mask.blocks.query_block_rows: 0 found, at least 1 expected"},
        Refusal{"BlocksWithoutKeys", [](auto& d) { d.mask.blocks = BlockMaskOptions{4, -2, Bool({1, 3})}; },
                "problem.mask.blocks.key_block_keys: -2 found, at least 1 expected"},
        Refusal{"BlocksOfOtherShape", [](auto& d) { d.mask.blocks = BlockMaskOptions{2, 2, Bool({2, 2})}; },
                "problem.mask.blocks.tensor.shape: [2, 2] found, which does not broadcast to the blocks' [2, 6, 2, 3]: "
                "dimension 1 is 2, 1 or 3 expected"},
        Refusal{"BlockDataWithoutBlocks", [](auto& d) { d.size_bytes[Input::kBlockMask] = 3; },
                "block_mask_data: 3 bytes found, none expected without problem.mask.blocks", false},
        Refusal{"MaskThatIsWider", [](auto& d) { d.mask.boolean = Bool({4, 6}); },
                "problem.mask.boolean.tensor.shape: [4, 6] found, which does not broadcast to the weights' "
                "[2, 6, 4, 5]: dimension 1 is 6, 1 or at most 5 expected"}),
    [](const auto& refusal) { return refusal.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Modifiers, RefusalTest,
    ::testing::Values(
        Refusal{"BiasOfOtherType", [](auto& d) { d.modifiers.bias = TensorDescription{ElementType::kFloat16, {4, 5}}; },
                "problem.bias.tensor.element_type: float16 found, float32 or the query's float32 expected"},
        Refusal{"BiasThatDoesNotBroadcast", [](auto& d) { d.modifiers.bias = Float32({3, 5}); },
                "problem.bias.tensor.shape: [3, 5] found, which does not broadcast to the weights' [2, 6, 4, 5]: "
                "dimension 0 is 3, 1 or 4 expected"},
        Refusal{"BiasDataWithoutBias", [](auto& d) { d.size_bytes[Input::kBias] = 8; },
                "bias_data: 8 bytes found, none expected without problem.bias", false},
        Refusal{"TooFewSlopes",
                [](auto& d) {
                  d.positions.alignment = Alignment::kTopLeft;
                  d.modifiers.alibi_slopes = {1, 2};
                },
                "problem.alibi.slopes: 2 slopes found, one for each of 6 query heads expected"},
        Refusal{"InfiniteSlope",
                [](auto& d) {
                  d.positions.alignment = Alignment::kTopLeft;
                  d.modifiers.alibi_slopes = {1, 2, 3, 4, std::numeric_limits<float>::infinity(), 6};
                },
                "problem.alibi.slopes[4]: inf found, a finite number expected"},
        Refusal{"SinkNan",
                [](auto& d) { d.modifiers.sinks = {1, 2, 3, 4, 5, std::numeric_limits<float>::quiet_NaN()}; },
                "problem.sinks[5]: nan found, a finite number or -inf expected"},
        Refusal{"TooManySinks", [](auto& d) { d.modifiers.sinks.assign(7, 0); },
                "problem.sinks: 7 sinks found, one for each of 6 query heads expected"},
        Refusal{"SoftCapZero", [](auto& d) { d.modifiers.soft_cap = 0; },
                "problem.soft_cap: 0 found, a finite number greater than 0 expected (1.17549e-38 to 3.40282e+38)"},
        Refusal{"SoftCapThatIsNoFloat32", [](auto& d) { d.modifiers.soft_cap = 1e39; },
                "problem.soft_cap: 1e+39 found, a finite number greater than 0 expected (1.17549e-38 to "
                "3.40282e+38)"}),
    [](const auto& refusal) { return refusal.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Summaries, RefusalTest,
    ::testing::Values(
        Refusal{"TooManyTopKeys", [](auto& d) { d.summaries.top_keys = 257; },
                "problem.summaries.top_keys: 257 found, 0 to 256 expected"},
        Refusal{"TopKeysThatInt32DoesNotHold",
                [](auto& d) {
                  d.key.shape[2] = d.value.shape[2] = std::int64_t{1} << 31;
                  d.size_bytes[Input::kKey] = *SizeBytes(d.key, "");
                  d.size_bytes[Input::kValue] = *SizeBytes(d.value, "");
                  d.summaries.top_keys = 1;
                },
                "problem.summaries.top_keys: 2147483648 keys found, at most 2147483647 expected, which int32 holds"},
        Refusal{"NegativeFirstKeys", [](auto& d) { d.summaries.first_keys = -1; },
                "problem.summaries.first_keys: -1 found, 0 to 9223372036854775807 expected"},
        Refusal{"MatrixOfOtherType",
                [](auto& d) { d.summaries.matrix = MatrixRows{.element_type = ElementType::kBfloat16}; },
                "problem.summaries.matrix.element_type: bfloat16 found, float32 or the query's float32 expected"},
        Refusal{"MapWithoutRows", [](auto& d) { d.summaries.pooled_map = PooledMap{.rows = 0, .columns = 1}; },
                "problem.summaries.pooled_map.rows: 0 found, 1 to 1024 expected"},
        Refusal{"MapTooWide", [](auto& d) { d.summaries.pooled_map = PooledMap{.rows = 1, .columns = 1025}; },
                "problem.summaries.pooled_map.columns: 1025 found, 1 to 1024 expected"},
        Refusal{"BatchEntryThatIsNotThere", [](auto& d) { d.summaries.batch_entries = {0, 2}; },
                "problem.summaries.batch_entries[1]: 2 found, 0 to 1 expected"},
        Refusal{"HeadsOutOfOrder", [](auto& d) { d.summaries.heads = {1, 4, 4}; },
                "problem.summaries.heads[2]: 4 found, more than the 4 before it expected"},
        Refusal{"RowBeforeTheFirst", [](auto& d) { d.summaries.query_rows = {-1}; },
                "problem.summaries.query_rows[0]: -1 found, 0 to 3 expected"},
        Refusal{"DistanceWithoutPositions", [](auto& d) { d.summaries.mean_distance = true; },
                "problem.positions.alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since "
                "4 query rows and 5 keys differ and problem.summaries.mean_distance counts from where the rows "
                "stand"}),
    [](const auto& refusal) { return refusal.param.name; });

class RaggedRefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RaggedRefusalTest, NamesTheFieldWhatWasFoundAndWhatWasExpected) {
  ProblemDescription d;
  d.query = Float32({7, 6, 8});
  d.key = Float32({5, 3, 8});
  d.value = Float32({5, 3, 4});
  d.ragged = RaggedOptions{.query_offsets = {0, 2, 2, 7}, .key_offsets = {0, 4, 5, 5}};
  GetParam().change(d);
  FillSizes(d);
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_FALSE(problem.ok());
  EXPECT_EQ(problem.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(problem.status().message(), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Ragged, RaggedRefusalTest,
    ::testing::Values(
        Refusal{"RankOfAPaddedBatch", [](auto& d) { d.query.shape = {1, 7, 6, 8}; },
                "problem.query.shape: rank 4 found, 3 expected with problem.ragged"},
        Refusal{"NoSequence", [](auto& d) { d.ragged->query_offsets = {0}; },
                "problem.ragged.query_offsets: 1 numbers found, at least 2 expected, one more than sequences"},
        Refusal{"FirstOffsetNotZero", [](auto& d) { d.ragged->query_offsets[0] = 1; },
                "problem.ragged.query_offsets[0]: 1 found, 0 expected"},
        Refusal{"OffsetsThatStepBack", [](auto& d) { d.ragged->key_offsets = {0, 5, 4, 5}; },
                "problem.ragged.key_offsets[2]: 4 found, at least the 5 before it expected"},
        Refusal{"LastOffsetNotTheRows", [](auto& d) { d.ragged->key_offsets[3] = 6; },
                "problem.ragged.key_offsets[3]: 6 found, 5 expected, the rows of the tensor"},
        Refusal{"OtherNumberOfSequences", [](auto& d) { d.ragged->key_offsets = {0, 5}; },
                "problem.ragged.key_offsets: 2 numbers found, 4 expected, as many as query_offsets"},
        Refusal{"LengthPastASequence", [](auto& d) { d.mask.key_lengths = {{4, 2, 0}}; },
                "problem.mask.key_lengths.lengths[1]: 2 found, 0 to 1 (the number of keys) expected"},
        Refusal{
            "CausalWithoutAlignment", [](auto& d) { d.mask.causal.emplace(); },
            "problem.mask.causal.alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since "
            "2 query rows and 4 keys differ"},
        Refusal{"ChosenBatchEntries", [](auto& d) { d.summaries.batch_entries = {1}; },
                "problem.summaries.batch_entries: 1 found, none expected beside problem.ragged"},
        Refusal{"SegmentsOfThePaddedShape",
                [](auto& d) {
                  d.mask.segments.emplace();
                  d.mask.segments->query = Int32({3, 5});
                  d.mask.segments->key = Int32({5});
                },
                "problem.mask.segments.query.shape: [3, 5] found, [7] expected"}),
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
  EXPECT_EQ(
      problem.status().message(),
      "result: the answer's tensors take 2496 bytes, at most 2495 (limits.max_message_bytes) expected; "
      "problem.return_weights takes 960 of them; of problem.summaries, entropy would take 192, received_sum would take "
      "240");
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
  EXPECT_EQ(problem->answer[Output::kOutput].description.shape, Shape({2, 6, 4, 7}));
  EXPECT_EQ(problem->answer[Output::kWeights].description.shape, Shape({2, 6, 4, 5}));
  EXPECT_EQ(problem->answer[Output::kLogSumExp].description.shape, Shape({2, 6, 4}));
  EXPECT_EQ(problem->answer[Output::kOutput].size_bytes, 1344);
  EXPECT_EQ(problem->answer[Output::kWeights].size_bytes, 960);
  EXPECT_EQ(problem->answer[Output::kLogSumExp].size_bytes, 192);
  EXPECT_FALSE(problem->is_causal);
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
  EXPECT_EQ(problem->answer[Output::kOutput].description.shape, Shape({2, 4, 6, 7}));
  EXPECT_EQ(problem->output_strides.row, 6 * 7);
  EXPECT_EQ(problem->answer[Output::kWeights].description.shape, Shape({2, 6, 4, 5}));
  EXPECT_EQ(problem->answer[Output::kLogSumExp].description.shape, Shape({2, 6, 4}));
}

TEST(CheckProblemTest, LeavesOutOfTheAnswerWhatIsNotAskedFor) {
  const absl::StatusOr<Problem> problem = CheckProblem(Grouped(), {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->answer[Output::kWeights].size_bytes, 0);
  EXPECT_EQ(problem->answer[Output::kLogSumExp].size_bytes, 0);
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
  EXPECT_EQ(problem->answer[Output::kWeights].description.shape, Shape({4, 5}));
  EXPECT_EQ(problem->answer[Output::kLogSumExp].description.shape, Shape({4}));

  d.query.shape.insert(d.query.shape.begin(), 3);
  d.key.shape.insert(d.key.shape.begin(), 3);
  d.value.shape.insert(d.value.shape.begin(), 3);
  FillSizes(d);
  problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->batch, 3);
  EXPECT_EQ(problem->query_strides.batch, 4 * 8);
  EXPECT_EQ(problem->answer[Output::kWeights].description.shape, Shape({3, 4, 5}));
  EXPECT_EQ(problem->answer[Output::kLogSumExp].description.shape, Shape({3, 4}));
}

TEST(CheckProblemTest, CountsTheOffsetOfTheRows) {
  ProblemDescription d = Grouped();
  d.mask.causal = Aligned(Alignment::kTopLeft);
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, 0);
  d.mask.causal = Aligned(Alignment::kBottomRight);
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, 1);
  d.query.shape[2] = 9;
  FillSizes(d);
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, -4);
  d.mask.causal = Aligned(Alignment::kUnspecified);
  d.query.shape[2] = 5;
  FillSizes(d);
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, 0);
}

TEST(CheckProblemTest, TakesOffsetsAsTheyAreGiven) {
  ProblemDescription d = Grouped();
  d.mask.causal = CausalOptions{.positions = {.alignment = {}, .offsets = {{-2, 3}}}, .prefix_lengths = {}};
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(0).offset, -2);
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, 3);
  // So far away that no row and no key comes near: they say no more than that, and must not overflow.
  d.mask.causal->positions.offsets = {INT64_MIN, INT64_MAX};
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(0).offset, -(std::int64_t{1} << 52));
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, std::int64_t{1} << 52);
}

TEST(CheckProblemTest, TakesPositionsOfTheirOwn) {
  ProblemDescription d = Grouped();
  d.mask.causal.emplace();
  d.positions.offsets = {7, 8};
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, 8);
  d.positions = {.alignment = Alignment::kBottomRight, .offsets = {}};
  EXPECT_EQ(CheckProblem(d, {})->SequenceAt(1).offset, 1);
}

// Of 2⁴⁰ batch entries each would need a number of its own.
TEST(CheckProblemTest, AllocatesNothingForABatchThatIsOnlyClaimed) {
  ProblemDescription d;
  d.query = d.key = d.value = Float32({kHuge, 1, 1});
  d.mask.causal = Aligned(Alignment::kBottomRight);
  FillSizes(d);
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(problem->position_offsets, IsEmpty());
}

// Three sequences: 2 rows and 4 keys, none and 1, 5 and none.
ProblemDescription Ragged() {
  ProblemDescription d;
  d.query = Float32({7, 6, 8});
  d.key = Float32({5, 3, 8});
  d.value = Float32({5, 3, 4});
  d.ragged = RaggedOptions{.query_offsets = {0, 2, 2, 7}, .key_offsets = {0, 4, 5, 5}};
  FillSizes(d);
  return d;
}

TEST(CheckProblemTest, TakesRaggedBatches) {
  ProblemDescription d = Ragged();
  d.mask.causal = Aligned(Alignment::kBottomRight);
  d.return_weights = d.return_log_sum_exp = true;
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->batch, 3);
  EXPECT_EQ(problem->query_rows, 5);
  EXPECT_EQ(problem->keys, 4);
  EXPECT_EQ(problem->query_strides.row, 6 * 8);
  EXPECT_EQ(problem->query_strides.head, 8);
  const Sequence last = problem->SequenceAt(2);
  EXPECT_EQ(last.first_row, 2);
  EXPECT_EQ(last.first_key, 5);
  EXPECT_EQ(last.rows, 5);
  EXPECT_EQ(last.keys, 0);
  EXPECT_EQ(last.offset, -5);
  EXPECT_EQ(problem->answer[Output::kOutput].description.shape, Shape({7, 6, 4}));
  EXPECT_EQ(problem->answer[Output::kWeights].description.shape, Shape({6, 7, 4}));
  EXPECT_EQ(problem->answer[Output::kLogSumExp].description.shape, Shape({6, 7}));
}

TEST(CheckProblemTest, ShapesOfSummariesLeaveOutWhatTheQueryOrTheReductionLacks) {
  ProblemDescription d = Grouped();
  d.summaries.batch_entries = {1};
  d.summaries.heads = {0, 3, 5};
  d.summaries.query_rows = {2, 3};
  d.summaries.matrix.emplace();
  d.summaries.top_keys = 7;
  d.summaries.entropy = true;
  d.summaries.received_sum = true;
  d.summaries.pooled_map = PooledMap{.rows = 3, .columns = 2};
  const auto shape = [&](Output name) { return CheckProblem(d, {})->answer[name].description.shape; };
  EXPECT_EQ(shape(Output::kMatrix), Shape({1, 3, 2, 5}));
  EXPECT_EQ(shape(Output::kTopKeys), Shape({1, 3, 2, 7}));
  EXPECT_EQ(CheckProblem(d, {})->answer[Output::kTopKeys].description.element_type, ElementType::kInt32);
  EXPECT_EQ(shape(Output::kEntropy), Shape({1, 3, 2}));
  EXPECT_EQ(shape(Output::kReceivedSum), Shape({1, 3, 5}));
  EXPECT_EQ(shape(Output::kPooledMap), Shape({1, 3, 3, 2}));
  d.summaries.head_reduction = HeadReduction::kMean;
  EXPECT_EQ(shape(Output::kEntropy), Shape({1, 2}));
  EXPECT_EQ(shape(Output::kPooledMap), Shape({1, 3, 2}));
  EXPECT_EQ(CheckProblem(d, {})->answer[Output::kLargestWeight].size_bytes, 0);

  ProblemDescription ragged = Ragged();
  ragged.summaries = d.summaries;
  ragged.summaries.batch_entries = {};
  ragged.summaries.head_reduction = HeadReduction::kNone;
  d = ragged;
  EXPECT_EQ(shape(Output::kMatrix), Shape({3, 2, 4}));
  EXPECT_EQ(shape(Output::kReceivedSum), Shape({3, 5}));
  EXPECT_EQ(shape(Output::kPooledMap), Shape({3, 3, 3, 2}));
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
  BroadcastStrides strides;
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

TEST(CheckProblemTest, TakesMasksAndBiasesThatAreNarrowerThanTheKeys) {
  ProblemDescription d = Grouped();
  d.mask.boolean = Bool({4, 3});
  d.modifiers.bias = Float32({1, 4, 2});
  FillSizes(d);
  const absl::StatusOr<Problem> problem = CheckProblem(d, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->boolean_mask->query, 3);
  EXPECT_EQ(problem->boolean_mask->keys_end, 3);
  EXPECT_EQ(problem->bias->strides.query, 2);
  EXPECT_EQ(problem->bias->strides.keys_end, 2);
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
