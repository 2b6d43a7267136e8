#include "tests/support/summary_expectations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tests/support/draws.h"
#include "tests/support/error_bound.h"
#include "tests/support/summary_reference.h"

namespace attnd::test {
namespace {

using core::ElementType;
using core::HeadReduction;
using core::MatrixStage;
using core::Output;

std::vector<std::int64_t> Choose(std::int64_t count, double probability, Random& random) {
  std::vector<std::int64_t> chosen;
  for (std::int64_t number = 0; number < count; ++number) {
    if (Chance(probability, random)) chosen.push_back(number);
  }
  return chosen;
}

// |actual − expected| ≤ absolute + relative·|expected|
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};

bool IsWithin(double actual, double expected, Tolerance tolerance) {
  if (std::isnan(expected)) return std::isnan(actual);
  if (std::isinf(expected)) return actual == expected;
  return std::fabs(actual - expected) <= tolerance.absolute + tolerance.relative * std::fabs(expected);
}

void ExpectWithin(const AttentionCase& attention, const std::string& name, const std::vector<double>& actual,
                  const std::vector<double>& expected, Tolerance tolerance) {
  ASSERT_EQ(actual.size(), expected.size()) << name << " of " << ToString(attention);
  for (std::size_t n = 0; n < actual.size(); ++n) {
    if (IsWithin(actual[n], expected[n], tolerance)) continue;
    ADD_FAILURE() << name << " of " << ToString(attention) << "\nelement " << n << ": " << actual[n] << ", expected "
                  << expected[n] << " to " << tolerance.absolute << " and " << tolerance.relative << " of it";
    return;
  }
}

bool Reduces(const AttentionCase& attention) {
  return attention.description.summaries.head_reduction != HeadReduction::kNone;
}

// What rounding to the matrix's type costs.
Tolerance Rounding(const core::MatrixRows& matrix) {
  switch (matrix.element_type.value_or(ElementType::kFloat32)) {
    case ElementType::kBfloat16:
      return {.absolute = std::ldexp(1, -133), .relative = std::ldexp(1, -8)};
    case ElementType::kFloat16:
      return {.absolute = std::ldexp(1, -24), .relative = std::ldexp(1, -11)};
    default:
      return {};
  }
}

// Of scores, whatever their stage: with the largest Σ|q·k|·|scale| and addition of a pair, hidden or not.
double ScoreError(const AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  const Sizes sizes = SizesOf(description);
  const auto largest = [](const std::vector<double>& numbers) {
    double result = 0;
    for (const double number : numbers) {
      if (std::isfinite(number)) result = std::max(result, std::fabs(number));
    }
    return result;
  };
  const auto head_size = static_cast<double>(sizes.head_size);
  const double scale = std::fabs(description.scale.value_or(1 / std::sqrt(head_size)));
  const double score = head_size * scale * largest(attention.query) * largest(attention.key);
  double added = largest(attention.bias);
  if (description.modifiers.alibi_slopes) {
    for (const float slope : *description.modifiers.alibi_slopes) {
      added += std::fabs(slope) * static_cast<double>(2 * (sizes.query_rows + sizes.keys));
    }
  }
  const double cap = description.modifiers.soft_cap.value_or(0);
  return head_size * std::ldexp(1, -24) * score + std::ldexp(1, -22) * (score + added + cap);
}

// One covered row of the largest weights: exactly as many keys as are seen, in order, and none that is left out would
// have belonged to them, as far as `tolerance` tells weights apart.
void ExpectTopRow(const AttentionCase& attention, const CombinedRow& row, const double* keys, const double* weights,
                  double tolerance) {
  const std::int64_t k = attention.description.summaries.top_keys;
  const auto seen_keys = static_cast<std::int64_t>(std::count(row.seen.begin(), row.seen.end(), true));
  const std::int64_t found = std::min(k, seen_keys);
  std::set<std::int64_t> chosen;
  for (std::int64_t n = 0; n < k; ++n) {
    if (n >= found) {
      ASSERT_EQ(keys[n], -1) << ToString(attention);
      ASSERT_EQ(weights[n], 0) << ToString(attention);
      continue;
    }
    const auto key = static_cast<std::size_t>(keys[n]);
    ASSERT_TRUE(keys[n] >= 0 && key < row.seen.size() && row.seen[key]) << keys[n] << " of " << ToString(attention);
    ASSERT_TRUE(chosen.insert(static_cast<std::int64_t>(key)).second) << keys[n] << " of " << ToString(attention);
    ASSERT_NEAR(weights[n], row.weights[key], tolerance) << ToString(attention);
    if (n == 0) continue;
    const bool in_order = weights[n - 1] > weights[n] || (weights[n - 1] == weights[n] && keys[n - 1] < keys[n]);
    ASSERT_TRUE(in_order) << "place " << n << " of " << ToString(attention);
  }
  for (std::size_t key = 0; found > 0 && key < row.seen.size(); ++key) {
    if (!row.seen[key] || chosen.contains(static_cast<std::int64_t>(key))) continue;
    ASSERT_LE(row.weights[key], weights[found - 1] + 2 * tolerance) << "key " << key << " of " << ToString(attention);
  }
}

void ExpectTopKeys(const AttentionCase& attention, const EngineCall& call, const std::vector<double>& weights,
                   double tolerance) {
  const core::SummaryOptions& asked = attention.description.summaries;
  if (asked.top_keys == 0) return;
  const std::vector<double> top_keys = call.Decoded(Output::kTopKeys);
  const std::vector<double> top_weights = call.Decoded(Output::kTopWeights);
  std::size_t at = 0;
  const auto expect_rows = [&](std::int64_t b, const std::vector<std::int64_t>& heads) {
    for (const std::int64_t i : CoveredRows(attention, b)) {
      ExpectTopRow(attention, CombineHeads(attention, weights, b, heads, i), &top_keys[at], &top_weights[at],
                   tolerance);
      at += static_cast<std::size_t>(asked.top_keys);
    }
  };
  std::vector<std::vector<std::int64_t>> groups;
  for (const std::int64_t h : CoveredHeads(attention)) groups.push_back({h});
  if (Reduces(attention)) groups = {CoveredHeads(attention)};
  if (attention.description.ragged) {
    for (const auto& heads : groups) {
      for (const std::int64_t b : CoveredEntries(attention)) expect_rows(b, heads);
    }
  } else {
    for (const std::int64_t b : CoveredEntries(attention)) {
      for (const auto& heads : groups) expect_rows(b, heads);
    }
  }
  EXPECT_EQ(at, top_keys.size()) << ToString(attention);
}

void ExpectMatrix(const AttentionCase& attention, const EngineCall& call, const SummaryAnswer& expected,
                  Tolerance weights) {
  const core::MatrixRows& matrix = *attention.description.summaries.matrix;
  Tolerance tolerance = weights;
  if (matrix.stage != MatrixStage::kWeights) {
    const bool sums = attention.description.summaries.head_reduction == HeadReduction::kSum;
    const double heads = sums ? static_cast<double>(CoveredHeads(attention).size()) : 1;
    tolerance = {.absolute = heads * ScoreError(attention), .relative = std::ldexp(1, -21)};
  }
  const Tolerance rounding = Rounding(matrix);
  tolerance.absolute += rounding.absolute;
  tolerance.relative += rounding.relative;
  ExpectWithin(attention, "matrix", call.Decoded(Output::kMatrix), expected[Output::kMatrix], tolerance);
}

}  // namespace

core::SummaryOptions EverySummary() {
  core::SummaryOptions every;
  every.matrix.emplace();
  every.top_keys = 16;
  every.entropy = true;
  every.largest_weight = true;
  every.first_keys = 4;
  every.mean_distance = true;
  every.received_sum = true;
  every.received_maximum = true;
  every.pooled_map = {.rows = 11, .columns = 7};
  return every;
}

core::SummaryOptions RandomSummaries(const AttentionCase& attention, Random& random) {
  const core::ProblemDescription& description = attention.description;
  const Sizes sizes = SizesOf(description);
  const auto half = [&] { return Chance(0.5, random); };
  core::SummaryOptions s;
  if (half() && !description.ragged) s.batch_entries = Choose(sizes.batch, 0.7, random);
  if (half()) s.heads = Choose(sizes.query_heads, 0.7, random);
  if (half()) {
    const std::int64_t rows = description.ragged ? description.query.shape[0] : sizes.query_rows;
    s.query_rows = Choose(rows, half() ? 0.1 : 0.9, random);
  }
  if (half()) s.head_reduction = half() ? HeadReduction::kMean : HeadReduction::kSum;
  if (half()) {
    s.matrix.emplace();
    s.matrix->stage = static_cast<MatrixStage>(Between(0, 3, random));
    if (half()) s.matrix->element_type = description.query.element_type;
  }
  if (half()) s.top_keys = half() ? Between(1, 20, random) : 256;
  s.entropy = half();
  s.largest_weight = half();
  if (half()) s.first_keys = half() ? Between(1, sizes.keys, random) : 300;
  s.mean_distance = half();
  s.received_sum = half();
  s.received_maximum = half();
  if (half()) {
    s.pooled_map = {.rows = half() ? Between(1, 20, random) : 1024,
                    .columns = half() ? Between(1, 20, random) : Between(1, 1024, random),
                    .pooling = half() ? core::Pooling::kMean : core::Pooling::kMaximum};
  }
  return s;
}

void ExpectSummariesOfOwnWeights(const AttentionCase& attention, const EngineCall& call) {
  const std::vector<double> weights = call.Decoded(Output::kWeights);
  const SummaryAnswer expected = SummariesOf(attention, weights);
  const double of_heads = Reduces(attention) ? static_cast<double>(CoveredHeads(attention).size() + 1) : 0;
  const Tolerance exact{.relative = of_heads * std::ldexp(1, -24)};
  // Entropies near 0 are those of a weight near 1, of which the last bit counts.
  const Tolerance sum{.absolute = std::ldexp(1, -22), .relative = exact.relative + std::ldexp(1, -16)};
  const auto expect = [&](Output name, const std::string& field, Tolerance tolerance) {
    ExpectWithin(attention, field, call.Decoded(name), expected[name], tolerance);
  };
  expect(Output::kEntropy, "entropy", sum);
  expect(Output::kLargestWeight, "largest_weight", exact);
  expect(Output::kFirstKeysWeight, "first_keys_weight", sum);
  expect(Output::kMeanDistance, "mean_distance", sum);
  expect(Output::kReceivedSum, "received_sum", sum);
  expect(Output::kReceivedMaximum, "received_maximum", exact);
  expect(Output::kPooledMap, "pooled_map", sum);
  if (attention.description.summaries.matrix) ExpectMatrix(attention, call, expected, exact);
  if (Reduces(attention)) {
    ExpectTopKeys(attention, call, weights, of_heads * of_heads * std::ldexp(1, -24));
  } else {
    expect(Output::kTopKeys, "top_keys", {});
    expect(Output::kTopWeights, "top_weights", {});
  }
}

void ExpectSummariesOfDefinition(const AttentionCase& attention, const EngineCall& call) {
  const Answer reference = Reference(attention);
  const SummaryAnswer expected = SummariesOf(attention, reference.weights);
  const Sizes sizes = SizesOf(attention.description);
  const bool sums = attention.description.summaries.head_reduction == HeadReduction::kSum;
  const double heads = sums ? static_cast<double>(CoveredHeads(attention).size()) : 1;
  const double weight = BoundOf(attention, reference).weights;
  ASSERT_LT(weight, 0.3);  // where −w·ln w rises
  const auto keys = static_cast<double>(sizes.keys);
  const auto rows = static_cast<double>(sizes.query_rows);
  const double farthest = 2 * (rows + 2 * keys);
  const auto expect = [&](Output name, const std::string& field, double error) {
    ExpectWithin(attention, field, call.Decoded(name), expected[name],
                 {.absolute = heads * error, .relative = std::ldexp(1, -15)});
  };
  // |η(a) − η(b)| ≤ η(|a − b|) for η(w) = −w·ln w.
  expect(Output::kEntropy, "entropy", -keys * weight * std::log(weight));
  expect(Output::kLargestWeight, "largest_weight", weight);
  expect(Output::kFirstKeysWeight, "first_keys_weight", keys * weight);
  expect(Output::kMeanDistance, "mean_distance", keys * farthest * weight);
  expect(Output::kReceivedSum, "received_sum", rows * weight);
  expect(Output::kReceivedMaximum, "received_maximum", weight);
  expect(Output::kPooledMap, "pooled_map", weight);
  if (attention.description.summaries.matrix) ExpectMatrix(attention, call, expected, {.absolute = heads * weight});
  ExpectTopKeys(attention, call, reference.weights, heads * (weight + std::ldexp(1, -22)));
}

}  // namespace attnd::test
