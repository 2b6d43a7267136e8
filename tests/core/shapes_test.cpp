// Every rank and layout, grouped heads, and sizes from one row or key to past several tiles, in all element types.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::ElementType;
using core::Layout;

constexpr ElementType kElementTypes[] = {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16};

std::string NameOf(ElementType type) { return std::string(core::ElementTypeName(type)); }

void ExpectCorrectResult(const CaseOptions& options, Random& random) {
  const AttentionCase attention = MakeCase(options, random);
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

class ElementTypeTest : public ::testing::TestWithParam<ElementType> {};
INSTANTIATE_TEST_SUITE_P(Shapes, ElementTypeTest, ::testing::ValuesIn(kElementTypes),
                         [](const auto& type) { return NameOf(type.param); });

TEST_P(ElementTypeTest, TakesEveryRankAndLayout) {
  Random random = SeededRandom();
  const ElementType type = GetParam();
  ExpectCorrectResult({.sizes = {.query_rows = 20, .keys = 30, .head_size = 16, .value_head_size = 16},
                       .element_type = type,
                       .rank = 2},
                      random);
  const Sizes one_head = {.batch = 3, .query_rows = 20, .keys = 30, .head_size = 16, .value_head_size = 24};
  ExpectCorrectResult({.sizes = one_head, .element_type = type, .rank = 3}, random);
  const Sizes heads = {.batch = 2,
                       .query_heads = 3,
                       .key_value_heads = 3,
                       .query_rows = 20,
                       .keys = 30,
                       .head_size = 16,
                       .value_head_size = 24};
  ExpectCorrectResult({.sizes = heads, .element_type = type, .layout = Layout::kBhsd}, random);
  ExpectCorrectResult({.sizes = heads, .element_type = type, .layout = Layout::kBshd}, random);
}

TEST_P(ElementTypeTest, SharesKeysAndValuesInGroups) {
  Random random = SeededRandom();
  for (const std::int64_t key_value_heads : {1, 2, 3, 6}) {
    for (const Layout layout : {Layout::kBhsd, Layout::kBshd}) {
      const Sizes sizes = {.batch = 2,
                           .query_heads = 6,
                           .key_value_heads = key_value_heads,
                           .query_rows = 5,
                           .keys = 40,
                           .head_size = 32,
                           .value_head_size = 32};
      ExpectCorrectResult({.sizes = sizes, .element_type = GetParam(), .layout = layout}, random);
    }
  }
}

TEST_P(ElementTypeTest, TakesTensorsAlignedToTheirElementsOnly) {
  Random random = SeededRandom();
  const Sizes sizes = {.batch = 2,
                       .query_heads = 2,
                       .key_value_heads = 2,
                       .query_rows = 33,
                       .keys = 70,
                       .head_size = 33,
                       .value_head_size = 35};
  AttentionCase attention = MakeCase({.sizes = sizes, .element_type = GetParam()}, random);
  AddBooleanMask(attention, {33, 70}, 0.7, random);
  ExpectCorrect(attention, Attend(SharedEngine(), attention, EngineCall::Placement::kOneElementPastAligned));
}

TEST_P(ElementTypeTest, AnswersWithoutWeightsAndLogSumExp) {
  Random random = SeededRandom();
  AttentionCase attention = MakeCase(
      {.sizes = {.query_rows = 70, .keys = 600, .head_size = 64, .value_head_size = 64}, .element_type = GetParam()},
      random);
  attention.description.return_weights = false;
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
  attention.description.return_log_sum_exp = false;
  ExpectCorrect(attention, Attend(SharedEngine(), attention));
}

TEST_P(ElementTypeTest, TakesDenormalInputs) {
  Random random = SeededRandom();
  const Sizes sizes = {.query_rows = 8, .keys = 40, .head_size = 32, .value_head_size = 32};
  const double least_normal = GetParam() == ElementType::kFloat16 ? 6e-5 : 1e-38;
  ExpectCorrectResult({.sizes = sizes, .element_type = GetParam(), .spread = least_normal / 4}, random);
}

class HeadSizeTest : public ::testing::TestWithParam<std::tuple<ElementType, int>> {};
INSTANTIATE_TEST_SUITE_P(Shapes, HeadSizeTest,
                         ::testing::Combine(::testing::ValuesIn(kElementTypes),
                                            ::testing::Values(1, 5, 32, 33, 64, 80, 128, 256, 1024)),
                         [](const auto& test) {
                           return NameOf(std::get<0>(test.param)) + "_" + std::to_string(std::get<1>(test.param));
                         });

TEST_P(HeadSizeTest, IsTakenForQueryKeyAndValue) {
  Random random = SeededRandom();
  const auto [type, size] = GetParam();
  ExpectCorrectResult(
      {.sizes = {.query_heads = 2, .query_rows = 10, .keys = 50, .head_size = size, .value_head_size = size},
       .element_type = type},
      random);
}

TEST_P(HeadSizeTest, IsTakenForKeyOrValueAlone) {
  Random random = SeededRandom();
  const auto [type, size] = GetParam();
  ExpectCorrectResult(
      {.sizes = {.query_heads = 2, .query_rows = 10, .keys = 50, .head_size = size, .value_head_size = 48},
       .element_type = type},
      random);
  ExpectCorrectResult(
      {.sizes = {.query_heads = 2, .query_rows = 10, .keys = 50, .head_size = 48, .value_head_size = size},
       .element_type = type},
      random);
}

// Query tiles have 64 rows, key tiles 512 keys, packed panels 64 columns, and everything is padded to 16.
class SequenceLengthTest : public ::testing::TestWithParam<std::tuple<ElementType, int>> {};
INSTANTIATE_TEST_SUITE_P(
    Shapes, SequenceLengthTest,
    ::testing::Combine(::testing::ValuesIn(kElementTypes),
                       ::testing::Values(1, 2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1200)),
    [](const auto& test) { return NameOf(std::get<0>(test.param)) + "_" + std::to_string(std::get<1>(test.param)); });

TEST_P(SequenceLengthTest, IsTakenForKeys) {
  Random random = SeededRandom();
  const auto [type, keys] = GetParam();
  for (const std::int64_t query_rows : {1, 3, 17, 66}) {
    ExpectCorrectResult({.sizes = {.query_rows = query_rows, .keys = keys, .head_size = 32, .value_head_size = 32},
                         .element_type = type},
                        random);
  }
}

TEST_P(SequenceLengthTest, IsTakenForQueries) {
  Random random = SeededRandom();
  const auto [type, query_rows] = GetParam();
  for (const std::int64_t keys : {7, 530}) {
    ExpectCorrectResult({.sizes = {.query_rows = query_rows, .keys = keys, .head_size = 24, .value_head_size = 32},
                         .element_type = type},
                        random);
  }
}

TEST(RowClassTest, EveryNumberOfRowsOfATileIsRight) {
  Random random = SeededRandom();
  for (std::int64_t query_rows = 1; query_rows <= 65; ++query_rows) {
    ExpectCorrectResult({.sizes = {.query_rows = query_rows, .keys = 20, .head_size = 16, .value_head_size = 16}},
                        random);
  }
}

}  // namespace
}  // namespace attnd::test
