// Partial results of disjoint ranges of keys merge into the result over all of them.
#include "core/merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"
#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

using core::ElementType;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

// Parts of rows, one part after the other.
struct Parts {
  std::int64_t count = 0;
  std::int64_t rows = 0;
  std::int64_t value_head_size = 0;
  std::vector<double> output;
  std::vector<double> log_sum_exp;
};

struct MergedParts {
  std::vector<double> output;
  std::vector<double> log_sum_exp;
};

core::MergeDescription Describe(ElementType type, const Parts& parts) {
  const auto numbers = static_cast<std::int64_t>(parts.output.size());
  const auto rows = static_cast<std::int64_t>(parts.log_sum_exp.size());
  return {.output = {type, {parts.count, parts.rows, parts.value_head_size}},
          .log_sum_exp = {ElementType::kFloat32, {parts.count, parts.rows}},
          .output_size_bytes = numbers * static_cast<std::int64_t>(core::ElementSizeBytes(type)),
          .log_sum_exp_size_bytes = rows * 4};
}

// Rows up to `cut` first, then the rest.
MergedParts MergeAll(ElementType type, const Parts& parts, std::int64_t cut = 0) {
  const absl::StatusOr<core::Merge> merge = core::CheckMerge(Describe(type, parts), {});
  if (!merge.ok()) throw std::runtime_error(merge.status().ToString());
  const std::vector<std::uint8_t> output = Encode(type, parts.output);
  const std::vector<std::uint8_t> log_sum_exp = Encode(ElementType::kFloat32, parts.log_sum_exp);
  std::vector<std::uint8_t> merged_output(static_cast<std::size_t>(merge->output.size_bytes));
  std::vector<std::uint8_t> merged_log_sum_exp(static_cast<std::size_t>(merge->log_sum_exp.size_bytes));
  const core::MergeTensors tensors{.output = output.data(),
                                   .log_sum_exp = reinterpret_cast<const float*>(log_sum_exp.data()),
                                   .merged_output = merged_output.data(),
                                   .merged_log_sum_exp = reinterpret_cast<float*>(merged_log_sum_exp.data())};
  core::MergeRows(*merge, tensors, 0, cut);
  core::MergeRows(*merge, tensors, cut, merge->rows);
  return {.output = Decode(type, merged_output.data(), merged_output.size() / core::ElementSizeBytes(type)),
          .log_sum_exp = Decode(ElementType::kFloat32, merged_log_sum_exp.data(), merged_log_sum_exp.size() / 4)};
}

Parts RandomParts(std::int64_t count, std::int64_t rows, std::int64_t value_head_size, ElementType type,
                  Random& random) {
  std::normal_distribution<double> number;
  Parts parts{.count = count, .rows = rows, .value_head_size = value_head_size, .output = {}, .log_sum_exp = {}};
  for (std::int64_t i = 0; i < count * rows * value_head_size; ++i) parts.output.push_back(number(random));
  for (std::int64_t i = 0; i < count * rows; ++i) parts.log_sum_exp.push_back(20 * number(random));
  const auto rounded = [](ElementType to, const std::vector<double>& numbers) {
    return Decode(to, Encode(to, numbers).data(), numbers.size());
  };
  parts.output = rounded(type, parts.output);
  parts.log_sum_exp = rounded(ElementType::kFloat32, parts.log_sum_exp);
  return parts;
}

// The keys [begin, end) of a problem of rank 4 whose rows stand at given offsets.
AttentionCase KeysOf(const AttentionCase& whole, std::int64_t begin, std::int64_t end) {
  AttentionCase part = whole;
  const auto cut = [&](const core::Shape& shape, const std::vector<double>& from, core::Shape& part_shape,
                       std::vector<double>& to) {
    part_shape[2] = end - begin;
    to.clear();
    for (std::int64_t head = 0; head < shape[0] * shape[1]; ++head) {
      const auto first = from.begin() + head * shape[2] * shape[3];
      to.insert(to.end(), first + begin * shape[3], first + end * shape[3]);
    }
  };
  core::ProblemDescription& description = part.description;
  cut(whole.description.key.shape, whole.key, description.key.shape, part.key);
  cut(whole.description.value.shape, whole.value, description.value.shape, part.value);
  description.size_bytes[core::Input::kKey] = static_cast<std::int64_t>(part.key.size() * sizeof(float));
  description.size_bytes[core::Input::kValue] = static_cast<std::int64_t>(part.value.size() * sizeof(float));
  for (std::int64_t& offset : *description.mask.causal->positions.offsets) offset -= begin;
  return part;
}

// Where `count` ranges of the keys end; some may be empty.
std::vector<std::int64_t> RandomEnds(std::int64_t count, std::int64_t keys, Random& random) {
  std::vector<std::int64_t> ends;
  for (std::int64_t i = 1; i < count; ++i) ends.push_back(static_cast<std::int64_t>(random() % (keys + 1)));
  ends.push_back(keys);
  std::ranges::sort(ends);
  return ends;
}

TEST(Merge, OfRandomSplitsIsTheWhole) {
  constexpr Sizes kSizes = {.batch = 2,
                            .query_heads = 4,
                            .key_value_heads = 2,
                            .query_rows = 20,
                            .keys = 600,
                            .head_size = 16,
                            .value_head_size = 24};
  Random random = SeededRandom();
  for (const std::int64_t count : {1, 2, 3, 8, 33, 64}) {
    AttentionCase whole = MakeCase({.sizes = kSizes}, random);
    whole.description.return_weights = false;
    // Some rows see no key of the later ranges, and with the negative offset none at all.
    whole.description.mask.causal = CausalAt({static_cast<std::int64_t>(random() % 600), -7});
    Parts parts{.count = count, .rows = 2 * 4 * 20, .value_head_size = 24, .output = {}, .log_sum_exp = {}};
    std::int64_t begin = 0;
    for (const std::int64_t end : RandomEnds(count, kSizes.keys, random)) {
      Answer part{.output = std::vector<double>(static_cast<std::size_t>(parts.rows * parts.value_head_size)),
                  .weights = {},
                  .log_sum_exp = std::vector<double>(static_cast<std::size_t>(parts.rows), -kInfinity)};
      if (end > begin) part = Attend(SharedEngine(), KeysOf(whole, begin, end));
      parts.output.insert(parts.output.end(), part.output.begin(), part.output.end());
      parts.log_sum_exp.insert(parts.log_sum_exp.end(), part.log_sum_exp.begin(), part.log_sum_exp.end());
      begin = end;
    }
    const MergedParts merged = MergeAll(ElementType::kFloat32, parts);
    ExpectCorrect(whole, {.output = merged.output,
                          .weights = {},
                          .log_sum_exp = merged.log_sum_exp,
                          .empty_rows = std::ranges::count(merged.log_sum_exp, -kInfinity)});
  }
}

class MergeTypes : public ::testing::TestWithParam<ElementType> {
 protected:
  // Half of the distance between neighbours, relative: what one rounding changes.
  static double Rounding() {
    switch (GetParam()) {
      case ElementType::kBfloat16:
        return std::ldexp(1, -8);
      case ElementType::kFloat16:
        return std::ldexp(1, -11);
      default:
        return std::ldexp(1, -24);
    }
  }
  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Merge, MergeTypes,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

// Of one row, by the formula as it stands.
void ExpectTheFormula(const Parts& parts, const MergedParts& merged, std::int64_t row, double rounding) {
  const auto log_sum_exp = [&](std::int64_t part) {
    return static_cast<long double>(parts.log_sum_exp[static_cast<std::size_t>(part * parts.rows + row)]);
  };
  long double sum = 0;
  for (std::int64_t part = 0; part < parts.count; ++part) sum += std::exp(log_sum_exp(part));
  const long double whole = std::log(sum);
  EXPECT_NEAR(merged.log_sum_exp[static_cast<std::size_t>(row)], static_cast<double>(whole),
              std::ldexp(std::fabs(static_cast<double>(whole)), -24) + 1e-15);
  for (std::int64_t i = 0; i < parts.value_head_size; ++i) {
    long double expected = 0;
    for (std::int64_t part = 0; part < parts.count; ++part) {
      const std::int64_t element = (part * parts.rows + row) * parts.value_head_size + i;
      expected += std::exp(log_sum_exp(part) - whole) * parts.output[static_cast<std::size_t>(element)];
    }
    const double found = merged.output[static_cast<std::size_t>(row * parts.value_head_size + i)];
    // To float32, then to the type; float16 has a smallest step.
    EXPECT_NEAR(found, static_cast<double>(expected),
                std::fabs(static_cast<double>(expected)) * (rounding + std::ldexp(1, -24)) + std::ldexp(1, -25));
  }
}

TEST_P(MergeTypes, FollowTheFormula) {
  for (const std::int64_t count : {1, 2, 5, 64}) {
    for (const std::int64_t value_head_size : {1, 7, 256, 300}) {  // below, at and past a chunk
      const Parts parts = RandomParts(count, 3, value_head_size, GetParam(), random_);
      const MergedParts merged = MergeAll(GetParam(), parts);
      for (std::int64_t row = 0; row < parts.rows; ++row) ExpectTheFormula(parts, merged, row, Rounding());
    }
  }
}

TEST_P(MergeTypes, OnePartIsTheResult) {
  const Parts parts = RandomParts(1, 9, 20, GetParam(), random_);
  const MergedParts merged = MergeAll(GetParam(), parts);
  EXPECT_EQ(merged.output, parts.output);
  EXPECT_EQ(merged.log_sum_exp, parts.log_sum_exp);
}

TEST_P(MergeTypes, RowsDoNotDependOnHowTheyAreCut) {
  const Parts parts = RandomParts(6, 9, 20, GetParam(), random_);
  const MergedParts merged = MergeAll(GetParam(), parts);
  for (std::int64_t cut = 1; cut <= parts.rows; ++cut) {
    EXPECT_EQ(MergeAll(GetParam(), parts, cut).output, merged.output);
    EXPECT_EQ(MergeAll(GetParam(), parts, cut).log_sum_exp, merged.log_sum_exp);
  }
}

TEST_P(MergeTypes, EmptyPartsChangeNothingAndAreNotRead) {
  const Parts parts = RandomParts(3, 4, 10, GetParam(), random_);
  Parts with_empty = parts;
  with_empty.count = 4;
  with_empty.output.insert(with_empty.output.begin() + 40, 40, kNan);
  with_empty.log_sum_exp.insert(with_empty.log_sum_exp.begin() + 4, 4, -kInfinity);
  EXPECT_EQ(MergeAll(GetParam(), with_empty).output, MergeAll(GetParam(), parts).output);
  EXPECT_EQ(MergeAll(GetParam(), with_empty).log_sum_exp, MergeAll(GetParam(), parts).log_sum_exp);
}

TEST_P(MergeTypes, OnlyEmptyPartsAreAnEmptyOne) {
  for (const std::int64_t count : {1, 2, 64}) {
    Parts parts = RandomParts(count, 4, 10, GetParam(), random_);
    std::ranges::fill(parts.log_sum_exp, -kInfinity);
    const MergedParts merged = MergeAll(GetParam(), parts);
    EXPECT_EQ(merged.output, std::vector<double>(40, 0.0));
    EXPECT_EQ(merged.log_sum_exp, std::vector<double>(4, -kInfinity));
  }
}

// Whatever cannot be told is NaN, wherever it comes; rows beside it are as they were.
TEST_P(MergeTypes, NoNumberInALogSumExpMakesItsRowNan) {
  const Parts parts = RandomParts(3, 4, 10, GetParam(), random_);
  const MergedParts good = MergeAll(GetParam(), parts);
  for (const double number : {kNan, kInfinity}) {
    for (std::size_t part = 0; part < 3; ++part) {
      Parts bad = parts;
      bad.log_sum_exp[part * 4 + 2] = number;
      bad.log_sum_exp[(part + 1) % 3 * 4 + 2] = -kInfinity;
      const MergedParts merged = MergeAll(GetParam(), bad);
      EXPECT_TRUE(std::isnan(merged.log_sum_exp[2]));
      for (std::size_t i = 0; i < 40; ++i) {
        if (i / 10 == 2) {
          EXPECT_TRUE(std::isnan(merged.output[i]));
        } else {
          EXPECT_EQ(merged.output[i], good.output[i]);
        }
      }
    }
  }
}

// Also of a part whose share of the row is smaller than any number.
TEST_P(MergeTypes, NanAndInfinitiesOfAPartThatCountsPropagate) {
  for (const double log_sum_exp : {0.0, -3000.0}) {
    Parts parts{.count = 2,
                .rows = 1,
                .value_head_size = 3,
                .output = {1, 2, 3, kNan, kInfinity, -kInfinity},
                .log_sum_exp = {0, log_sum_exp}};
    const MergedParts merged = MergeAll(GetParam(), parts);
    EXPECT_TRUE(std::isnan(merged.output[0]));
    EXPECT_EQ(merged.output[1], kInfinity);
    EXPECT_EQ(merged.output[2], -kInfinity);
  }
}

TEST(CheckMerge, TakesAnyRank) {
  const core::MergeDescription row{.output = {ElementType::kFloat16, {5, 3}},
                                   .log_sum_exp = {ElementType::kFloat32, {5}},
                                   .output_size_bytes = 30,
                                   .log_sum_exp_size_bytes = 20};
  const absl::StatusOr<core::Merge> merge = core::CheckMerge(row, {.max_answer_bytes = 10});
  ASSERT_TRUE(merge.ok()) << merge.status();
  EXPECT_EQ(merge->output.description.shape, (core::Shape{3}));
  EXPECT_EQ(merge->output.description.element_type, ElementType::kFloat16);
  EXPECT_EQ(merge->log_sum_exp.description.shape, core::Shape());
  EXPECT_EQ(merge->rows, 1);
  const absl::Status status = core::CheckMerge(row, {.max_answer_bytes = 9}).status();
  EXPECT_EQ(status, absl::ResourceExhaustedError("output: the merged tensors take 6 + 4 bytes, at most 9 "
                                                 "(limits.max_message_bytes) expected"));
}

TEST(CheckMerge, RefusesByNameWithBothNumbers) {
  const auto expect = [](const std::function<void(core::MergeDescription&)>& change, const std::string& text) {
    core::MergeDescription description{.output = {ElementType::kFloat32, {2, 3, 4}},
                                       .log_sum_exp = {ElementType::kFloat32, {2, 3}},
                                       .output_size_bytes = 96,
                                       .log_sum_exp_size_bytes = 24};
    change(description);
    EXPECT_EQ(core::CheckMerge(description, {}).status(), absl::InvalidArgumentError(text));
  };
  expect([](auto& d) { d.output.element_type = ElementType::kInt32; },
         "output.element_type: int32 found, float32, bfloat16 or float16 expected");
  expect([](auto& d) { d.output.shape = {2}; }, "output.shape: rank 1 found, at least 2 expected");
  expect([](auto& d) { d.log_sum_exp.element_type = ElementType::kBfloat16; },
         "log_sum_exp.element_type: bfloat16 found, float32 expected");
  expect([](auto& d) { d.log_sum_exp.shape = {3, 2}; },
         "log_sum_exp.shape: [3, 2] found, [2, 3], that of output without its last dimension, expected");
  expect(
      [](auto& d) {
        d.output.shape = {0, 3, 4};
        d.log_sum_exp.shape = {0, 3};
      },
      "output.shape: dimension 0 is 0, expected at least 1; the shape is [0, 3, 4]");
  expect([](auto& d) { d.output_size_bytes = 95; },
         "output_data: 95 bytes found, 96 expected for output of float32 [2, 3, 4]");
  expect([](auto& d) { d.log_sum_exp_size_bytes = 0; },
         "log_sum_exp_data: 0 bytes found, 24 expected for log_sum_exp of float32 [2, 3]");
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  expect(
      [](auto& d) {
        d.output.shape = {kHuge, kHuge, 4};
        d.log_sum_exp.shape = {kHuge, kHuge};
      },
      "output.shape: [1099511627776, 1099511627776, 4] takes more bytes than fit in 63 bits");
}

}  // namespace
}  // namespace attnd::test
