// A row's bits depend on its query, the keys it sees with their values, and the options: not on the workers, the batch,
// the padding, the layout, the other rows, or what else runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/seed.h"
#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

using core::ElementType;
using Bytes = std::vector<std::uint8_t>;

// Grouped heads, past several query and key tiles, with no size a multiple of what tiles and panels have.
constexpr Sizes kSizes = {.batch = 3,
                          .query_heads = 4,
                          .key_value_heads = 2,
                          .query_rows = 139,
                          .keys = 1099,
                          .head_size = 40,
                          .value_head_size = 72};

// The bits of one row: output, weights of its first keys, log-sum-exp.
struct RowBits {
  std::vector<double> output;
  std::vector<double> weights;
  double log_sum_exp = 0;
  bool operator==(const RowBits&) const = default;
};

RowBits RowOf(const AttentionCase& attention, const Answer& answer, std::int64_t b, std::int64_t h, std::int64_t i,
              std::int64_t keys) {
  const Sizes sizes = SizesOf(attention.description);
  core::Shape output_shape = attention.description.query.shape;
  output_shape.back() = sizes.value_head_size;
  const auto output = answer.output.begin() + RowStart(output_shape, attention.description.layout, b, h, i);
  const std::int64_t row = (b * sizes.query_heads + h) * sizes.query_rows + i;
  const auto weights = answer.weights.begin() + row * sizes.keys;
  return {.output = {output, output + sizes.value_head_size},
          .weights = {weights, weights + keys},
          .log_sum_exp = answer.log_sum_exp[static_cast<std::size_t>(row)]};
}

// Copies row after row, `rows` of each batch entry and head, between tensors of any layout and size.
struct Rows {
  const core::Shape& shape;
  core::Layout layout;
  std::int64_t first_batch = 0;
  std::int64_t first_row = 0;
};
void CopyRows(const std::vector<double>& from, const Rows& from_rows, std::vector<double>& to, const Rows& to_rows,
              std::int64_t batch, std::int64_t heads, std::int64_t rows) {
  const std::int64_t size = from_rows.shape.back();
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t s = 0; s < rows; ++s) {
        const auto begin = from.begin() + RowStart(from_rows.shape, from_rows.layout, from_rows.first_batch + b, h,
                                                   from_rows.first_row + s);
        std::copy(
            begin, begin + size,
            to.begin() + RowStart(to_rows.shape, to_rows.layout, to_rows.first_batch + b, h, to_rows.first_row + s));
      }
    }
  }
}

// What a smaller or differently laid out problem takes of a larger one.
struct Part {
  std::int64_t first_batch = 0;
  std::int64_t batch = 0;
  std::int64_t first_row = 0;
  std::int64_t query_rows = 0;
  std::int64_t keys = 0;
  core::Layout layout = core::Layout::kBhsd;
};

AttentionCase Take(const AttentionCase& whole, const Part& part, Random& random) {
  Sizes sizes = SizesOf(whole.description);
  sizes.batch = part.batch;
  sizes.query_rows = part.query_rows;
  sizes.keys = part.keys;
  AttentionCase taken =
      MakeCase({.sizes = sizes, .element_type = whole.description.query.element_type, .layout = part.layout}, random);
  const auto copy = [&](const core::TensorDescription& from, const std::vector<double>& from_data,
                        const core::TensorDescription& to, std::vector<double>& to_data, std::int64_t heads,
                        std::int64_t first_row, std::int64_t rows) {
    CopyRows(from_data, {from.shape, whole.description.layout, part.first_batch, first_row}, to_data,
             {to.shape, part.layout}, part.batch, heads, rows);
  };
  const core::ProblemDescription& from = whole.description;
  const core::ProblemDescription& to = taken.description;
  copy(from.query, whole.query, to.query, taken.query, sizes.query_heads, part.first_row, part.query_rows);
  copy(from.key, whole.key, to.key, taken.key, sizes.key_value_heads, 0, part.keys);
  copy(from.value, whole.value, to.value, taken.value, sizes.key_value_heads, 0, part.keys);
  return taken;
}

constexpr Part kWhole = {.batch = kSizes.batch, .query_rows = kSizes.query_rows, .keys = kSizes.keys};

class SameBitsTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make() { return MakeCase({.sizes = kSizes, .element_type = GetParam()}, random_); }

  // Every row of `part`, computed alone, has the bits that it has in `whole`, of which it sees the first `keys` keys.
  void ExpectSameRows(const AttentionCase& whole, const AttentionCase& part, std::int64_t first_batch,
                      std::int64_t first_row) {
    ExpectSameRows(whole, Attend(SharedEngine(), whole), part, Attend(SharedEngine(), part), first_batch, first_row);
  }

  static void ExpectSameRows(const AttentionCase& whole, const Answer& whole_answer, const AttentionCase& part,
                             const Answer& part_answer, std::int64_t first_batch, std::int64_t first_row) {
    const Sizes sizes = SizesOf(part.description);
    for (std::int64_t b = 0; b < sizes.batch; ++b) {
      for (std::int64_t h = 0; h < sizes.query_heads; ++h) {
        for (std::int64_t i = 0; i < sizes.query_rows; ++i) {
          ASSERT_EQ(RowOf(whole, whole_answer, first_batch + b, h, first_row + i, sizes.keys),
                    RowOf(part, part_answer, b, h, i, sizes.keys))
              << "row " << b << ", " << h << ", " << i << " of " << ToString(part) << " of " << ToString(whole);
        }
      }
    }
  }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(SameBits, SameBitsTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

TEST_P(SameBitsTest, ForAnyNumberOfWorkers) {
  AttentionCase attention = Make();
  attention.description.mask.causal = Causal(core::Alignment::kBottomRight);
  const Bytes expected = AttendForBytes(SharedEngine(), attention);
  for (const int workers : {1, 2, 3, 5}) {
    core::Engine engine(core::EngineOptions{.worker_count = workers});
    EXPECT_EQ(engine.worker_count(), workers);
    EXPECT_TRUE(AttendForBytes(engine, attention) == expected) << workers << " workers";
  }
}

TEST_P(SameBitsTest, WhenRunAgainAndWhereverTheTensorsLie) {
  const AttentionCase attention = Make();
  const Bytes expected = AttendForBytes(SharedEngine(), attention);
  EXPECT_TRUE(AttendForBytes(SharedEngine(), attention) == expected);
  EXPECT_TRUE(AttendForBytes(SharedEngine(), attention, EngineCall::Placement::kOneElementPastAligned) == expected);
}

TEST_P(SameBitsTest, InABatchAndAlone) {
  const AttentionCase whole = Make();
  for (std::int64_t b = 0; b < kSizes.batch; ++b) {
    Part alone = kWhole;
    alone.first_batch = b;
    alone.batch = 1;
    ExpectSameRows(whole, Take(whole, alone, random_), b, 0);
  }
}

TEST_P(SameBitsTest, PaddedAndUnpadded) {
  for (const std::int64_t length : {1, 15, 16, 17, 100, 512, 513, 600, 1024, 1098}) {
    AttentionCase padded = Make();
    padded.description.mask.key_lengths = {{length, length, length}};
    Part unpadded = kWhole;
    unpadded.keys = length;
    ExpectSameRows(padded, Take(padded, unpadded, random_), 0, 0);
  }
}

TEST_P(SameBitsTest, WhateverLiesInThePadding) {
  AttentionCase attention = Make();
  attention.description.mask.key_lengths = {{100, 1099, 0}};
  const Bytes expected = AttendForBytes(SharedEngine(), attention);
  for (const double number : {std::nan(""), HUGE_VAL, 1e4}) {
    const core::Shape& key = attention.description.key.shape;
    const core::Shape& value = attention.description.value.shape;
    for (std::int64_t h = 0; h < kSizes.key_value_heads; ++h) {
      for (std::int64_t j = 100; j < kSizes.keys; ++j) {
        std::fill_n(attention.key.begin() + RowStart(key, core::Layout::kBhsd, 0, h, j), kSizes.head_size,
                    RoundTo(GetParam(), number));
        std::fill_n(attention.value.begin() + RowStart(value, core::Layout::kBhsd, 0, h, j), kSizes.value_head_size,
                    RoundTo(GetParam(), number));
      }
    }
    EXPECT_TRUE(AttendForBytes(SharedEngine(), attention) == expected) << number;
  }
}

TEST_P(SameBitsTest, WhateverABooleanMaskHides) {
  AttentionCase attention = Make();
  AddBooleanMask(attention, {kSizes.keys}, 0.5, random_);
  attention.mask[3] = 0;
  const Bytes expected = AttendForBytes(SharedEngine(), attention);
  const core::Shape& key = attention.description.key.shape;
  const core::Shape& value = attention.description.value.shape;
  for (std::int64_t j = 0; j < kSizes.keys; ++j) {
    if (attention.mask[static_cast<std::size_t>(j)] != 0) continue;
    for (std::int64_t b = 0; b < kSizes.batch; ++b) {
      for (std::int64_t h = 0; h < kSizes.key_value_heads; ++h) {
        attention.key[static_cast<std::size_t>(RowStart(key, core::Layout::kBhsd, b, h, j))] = std::nan("");
        attention.value[static_cast<std::size_t>(RowStart(value, core::Layout::kBhsd, b, h, j))] = std::nan("");
      }
    }
  }
  EXPECT_TRUE(AttendForBytes(SharedEngine(), attention) == expected);
}

// The same keys hidden by lengths and by a boolean mask.
TEST_P(SameBitsTest, HoweverTheSameKeysAreHidden) {
  AttentionCase attention = Make();
  attention.description.mask.key_lengths = {{600, 600, 600}};
  const Bytes expected = AttendForBytes(SharedEngine(), attention);
  attention.description.mask.key_lengths.reset();
  AddBooleanMask(attention, {kSizes.keys}, 1, random_);
  std::fill(attention.mask.begin() + 600, attention.mask.end(), std::uint8_t{0});
  EXPECT_TRUE(AttendForBytes(SharedEngine(), attention) == expected);
}

TEST_P(SameBitsTest, ARowAloneAndAmongMany) {
  const AttentionCase whole = Make();
  const Answer whole_answer = Attend(SharedEngine(), whole);
  for (const std::int64_t rows : {1, 2, 3, 5, 17, 64, 65}) {
    for (const std::int64_t first : {std::int64_t{0}, std::int64_t{61}, kSizes.query_rows - rows}) {
      Part part = kWhole;
      part.first_row = first;
      part.query_rows = rows;
      const AttentionCase taken = Take(whole, part, random_);
      ExpectSameRows(whole, whole_answer, taken, Attend(SharedEngine(), taken), 0, first);
    }
  }
}

TEST_P(SameBitsTest, CausalRowsAloneWithFewerKeys) {
  AttentionCase whole = Make();
  whole.description.mask.causal = Causal(core::Alignment::kBottomRight);  // row i sees keys to 960 + i
  const Answer whole_answer = Attend(SharedEngine(), whole);
  for (const std::int64_t row : {0, 1, 62, 63, 64, 65, 127, 138}) {
    Part part = kWhole;
    part.first_row = row;
    part.query_rows = 1;
    part.keys = kSizes.keys - kSizes.query_rows + row + 1;
    const AttentionCase taken = Take(whole, part, random_);
    ExpectSameRows(whole, whole_answer, taken, Attend(SharedEngine(), taken), 0, row);
  }
}

TEST_P(SameBitsTest, InBothLayouts) {
  AttentionCase whole = Make();
  Part part = kWhole;
  part.layout = core::Layout::kBshd;
  AttentionCase other = Take(whole, part, random_);
  for (AttentionCase* attention : {&whole, &other}) attention->description.mask.key_lengths = {{1099, 600, 20}};
  ExpectSameRows(whole, other, 0, 0);
}

TEST_P(SameBitsTest, WithAndWithoutWeights) {
  AttentionCase attention = Make();
  const Bytes with_weights = AttendForBytes(SharedEngine(), attention);
  attention.description.return_weights = false;
  attention.description.return_log_sum_exp = false;
  const Bytes output_only = AttendForBytes(SharedEngine(), attention);
  EXPECT_TRUE(std::equal(output_only.begin(), output_only.end(), with_weights.begin()));
}

TEST_P(SameBitsTest, WhileOtherCallsRun) {
  constexpr int kCallers = 4;
  constexpr int kCallsEach = 5;
  core::Engine engine(core::EngineOptions{.worker_count = 3});
  std::vector<AttentionCase> cases;
  std::vector<Bytes> expected;
  for (int n = 0; n < kCallers; ++n) {
    cases.push_back(MakeCase({.sizes = {.batch = 1 + n % 2,
                                        .query_heads = 2,
                                        .query_rows = 20 + 57 * n,
                                        .keys = 600 - 41 * n,
                                        .head_size = 32 + n,
                                        .value_head_size = 32},
                              .element_type = GetParam()},
                             random_));
    if (n % 2 == 1) AddBooleanMask(cases.back(), {cases.back().description.key.shape[2]}, 0.5, random_);
    expected.push_back(AttendForBytes(SharedEngine(), cases.back()));
  }
  std::vector<std::thread> callers;
  std::vector<int> same(kCallers);
  for (std::size_t n = 0; n < kCallers; ++n) {
    callers.emplace_back([&, n] {
      for (int call = 0; call < kCallsEach; ++call) same[n] += AttendForBytes(engine, cases[n]) == expected[n] ? 1 : 0;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(same, std::vector<int>(kCallers, kCallsEach));
}

}  // namespace
}  // namespace attnd::test
