#include "tests/support/error_bound.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <string>

namespace attnd::test {
namespace {

// The largest magnitudes among what the rows may see; numbers that are not finite do not count.
struct Magnitudes {
  double query = 0;
  double key = 0;
  double value = 0;
  double score = 0;  // the largest Σ|q·k|·|scale| of a visible pair, plus what is added to its score
};

void Raise(double& largest, double candidate) {
  if (std::isfinite(candidate)) largest = std::max(largest, std::fabs(candidate));
}

void RaiseValues(const AttentionCase& attention, std::int64_t b, std::int64_t kv_head, std::int64_t j,
                 Magnitudes& magnitudes) {
  const core::ProblemDescription& description = attention.description;
  const auto row = static_cast<std::size_t>(KeyRowStart(description, description.value.shape, b, kv_head, j));
  const double* value = &attention.value[row];
  for (std::int64_t d = 0; d < description.value.shape.back(); ++d) Raise(magnitudes.value, value[d]);
}

void RaiseRow(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, Magnitudes& magnitudes) {
  const core::ProblemDescription& description = attention.description;
  const Sizes sizes = SizesOf(description);
  const std::int64_t kv_head = h / (sizes.query_heads / sizes.key_value_heads);
  const double scale = std::fabs(description.scale.value_or(1 / std::sqrt(static_cast<double>(sizes.head_size))));
  const double* query =
      &attention.query[static_cast<std::size_t>(QueryRowStart(description, description.query.shape, b, h, i))];
  const std::vector<std::int64_t> visible = VisibleKeys(attention, b, h, i);
  for (const std::int64_t j : visible) {
    const double* key =
        &attention.key[static_cast<std::size_t>(KeyRowStart(description, description.key.shape, b, kv_head, j))];
    double score = 0;
    for (std::int64_t d = 0; d < sizes.head_size; ++d) {
      score += std::fabs(query[d] * key[d]);
      Raise(magnitudes.query, query[d]);
      Raise(magnitudes.key, key[d]);
    }
    Raise(magnitudes.score, score * scale + LargestAddition(attention, b, h, i, j));
    RaiseValues(attention, b, kv_head, j, magnitudes);
  }
  if (visible.empty() && description.empty_row == core::EmptyRow::kMeanOfAllValues) {
    for (std::int64_t j = 0; j < EntryOf(description, b).keys; ++j) RaiseValues(attention, b, kv_head, j, magnitudes);
  }
}

Magnitudes MagnitudesOf(const AttentionCase& attention) {
  const Sizes sizes = SizesOf(attention.description);
  Magnitudes magnitudes;
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    for (std::int64_t h = 0; h < sizes.query_heads; ++h) {
      for (std::int64_t i = 0; i < EntryOf(attention.description, b).query_rows; ++i) {
        RaiseRow(attention, b, h, i, magnitudes);
      }
    }
  }
  return magnitudes;
}

// AMX and AVX512_BF16 take bfloat16 denormals for zero, and round float32 results that are denormal to zero: each
// query, key, value, product, weight and output may then be off by up to 2⁻¹²⁶.
double FlushedDenormals(const AttentionCase& attention, const Magnitudes& magnitudes) {
  if (attention.description.query.element_type != core::ElementType::kBfloat16) return 0;
  const Sizes sizes = SizesOf(attention.description);
  const double least = std::ldexp(1, -126);
  const double scale =
      std::fabs(attention.description.scale.value_or(1 / std::sqrt(static_cast<double>(sizes.head_size))));
  const double score = static_cast<double>(sizes.head_size) * scale * least * (magnitudes.query + magnitudes.key + 1);
  return 2 * score * magnitudes.value + least * (static_cast<double>(sizes.keys) * (magnitudes.value + 1) + 2);
}

double LargestFinite(const std::vector<double>& numbers) {
  double largest = 0;
  for (const double number : numbers) Raise(largest, number);
  return largest;
}

bool SameKind(double left, double right) {
  if (std::isnan(left) || std::isnan(right)) return std::isnan(left) && std::isnan(right);
  if (std::isinf(left) || std::isinf(right)) return left == right;
  return true;
}

// The worst error/bound of this program's tests, by test suite and tensor.
class WorstRatios : public ::testing::Environment {
 public:
  void Keep(const std::string& tensor, double ratio) {
    const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
    double& worst = worst_[std::string(test->test_suite_name()) + ", " + tensor];
    worst = std::max(worst, ratio);
  }

  void TearDown() override {
    for (const auto& [what, ratio] : worst_) std::printf("worst error/bound of %s: %.3f\n", what.c_str(), ratio);
  }

 private:
  std::map<std::string, double> worst_;
};

WorstRatios& Worst() {
  static auto* const worst = new WorstRatios;
  return *worst;
}

// GoogleTest owns it from here on.
[[maybe_unused]] ::testing::Environment* const kRegistered = ::testing::AddGlobalTestEnvironment(&Worst());

void ExpectWithin(const AttentionCase& attention, const std::string& tensor, const std::vector<double>& actual,
                  const std::vector<double>& expected, double bound) {
  ASSERT_EQ(actual.size(), expected.size()) << tensor << " of " << ToString(attention);
  ASSERT_TRUE(std::isfinite(bound)) << tensor << " of " << ToString(attention);
  const double error = LargestDifference(actual, expected);
  if (error == 0) return;
  const double ratio = error / bound;
  Worst().Keep(tensor, ratio);
  if (ratio <= 1) return;
  for (std::size_t n = 0; n < actual.size(); ++n) {
    if (SameKind(actual[n], expected[n]) && !(std::fabs(actual[n] - expected[n]) > bound)) continue;
    ADD_FAILURE() << tensor << " of " << ToString(attention) << "\nelement " << n << ": " << actual[n] << ", expected "
                  << expected[n] << "\nlargest error " << error << ", bound " << bound;
    return;
  }
}

}  // namespace

double LargestDifference(const std::vector<double>& left, const std::vector<double>& right) {
  double largest = 0;
  for (std::size_t n = 0; n < left.size(); ++n) {
    if (!SameKind(left[n], right[n])) return std::numeric_limits<double>::infinity();
    if (std::isfinite(left[n])) largest = std::max(largest, std::fabs(left[n] - right[n]));
  }
  return largest;
}

ErrorBound BoundOf(const AttentionCase& attention, const Answer& reference) {
  const bool is_float32 = attention.description.query.element_type == core::ElementType::kFloat32;
  const Magnitudes magnitudes = MagnitudesOf(attention);
  const Answer plain = PlainFloat32(attention);
  const Answer model = is_float32 ? plain : RoundedModel(attention);
  const auto head_size = static_cast<double>(SizesOf(attention.description).head_size);
  const double term = std::ldexp(1, -22) + head_size * std::ldexp(1, -24) * magnitudes.score;
  return {.output = 2 * LargestDifference(model.output, reference.output) + term * magnitudes.value +
                    FlushedDenormals(attention, magnitudes),
          .weights = 2 * LargestDifference(plain.weights, reference.weights) + term,
          .log_sum_exp = term + std::ldexp(1, -23) * LargestFinite(reference.log_sum_exp)};
}

void ExpectCorrect(const AttentionCase& attention, const Answer& answer) {
  const Answer reference = Reference(attention);
  const ErrorBound bound = BoundOf(attention, reference);
  ExpectWithin(attention, "output", answer.output, reference.output, bound.output);
  if (attention.description.return_weights) {
    ExpectWithin(attention, "weights", answer.weights, reference.weights, bound.weights);
  }
  if (attention.description.return_log_sum_exp) {
    ExpectWithin(attention, "log-sum-exp", answer.log_sum_exp, reference.log_sum_exp, bound.log_sum_exp);
  }
  EXPECT_EQ(answer.empty_rows, reference.empty_rows) << ToString(attention);
}

}  // namespace attnd::test
