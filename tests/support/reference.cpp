#include "tests/support/reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

using Rounding = std::function<double(double)>;

double Exactly(double number) { return number; }

// The element of a boolean mask that (b, h, i, j) reads, broadcast from the right to the weights' shape.
bool MaskElement(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  const core::Shape& shape = attention.description.mask.boolean->shape;
  core::Shape position = {b, h, i, j};
  if (attention.description.query.shape.size() == 3) position = {b, i, j};
  if (attention.description.query.shape.size() == 2) position = {i, j};
  const std::size_t left_out = position.size() - shape.size();
  std::int64_t index = 0;
  for (std::size_t dimension = 0; dimension < shape.size(); ++dimension) {
    index = index * shape[dimension] + (shape[dimension] == 1 ? 0 : position[left_out + dimension]);
  }
  return attention.mask[static_cast<std::size_t>(index)] != 0;
}

bool IsVisible(const AttentionCase& attention, const Sizes& sizes, std::int64_t b, std::int64_t h, std::int64_t i,
               std::int64_t j) {
  const core::MaskOptions& mask = attention.description.mask;
  const bool bottom_right = mask.causal == core::CausalAlignment::kBottomRight;
  if (mask.causal && j > i + (bottom_right ? sizes.keys - sizes.query_rows : 0)) return false;
  if (mask.causal_offsets && j > i + (*mask.causal_offsets)[static_cast<std::size_t>(b)]) return false;
  if (mask.key_lengths && j >= (*mask.key_lengths)[static_cast<std::size_t>(b)]) return false;
  return !mask.boolean || MaskElement(attention, b, h, i, j);
}

// softmax(q·Kᵀ·scale)·V of one row, over the keys that it may see. Real is the type of every intermediate number.
template <typename Real>
class RowFormula {
 public:
  RowFormula(const AttentionCase& attention, const Rounding& round_weight)
      : attention_(attention), round_weight_(round_weight) {}

  void Compute(const double* query, const std::vector<std::int64_t>& visible, std::int64_t b, std::int64_t kv_head,
               double* output, double* weights, double* log_sum_exp) {
    const core::ProblemDescription& description = attention_.description;
    const Sizes sizes = SizesOf(description);
    const auto scale = static_cast<Real>(
        static_cast<float>(description.scale.value_or(1 / std::sqrt(static_cast<double>(sizes.head_size)))));

    std::vector<Real> exponentials;
    Real maximum = -std::numeric_limits<Real>::infinity();
    for (const std::int64_t j : visible) {
      const double* key = &attention_.key[Row(description.key.shape, b, kv_head, j)];
      Real score = 0;
      for (std::int64_t d = 0; d < sizes.head_size; ++d)
        score += static_cast<Real>(query[d]) * static_cast<Real>(key[d]);
      exponentials.push_back(score * scale);
      maximum = std::fmax(maximum, exponentials.back());
    }
    // Of scores that are all −∞ the sum of exponentials is 0, though their weights, 0/0, are not numbers.
    const Real minus_infinity = -std::numeric_limits<Real>::infinity();
    const bool all_minus_infinity = std::ranges::count(exponentials, minus_infinity) == std::ssize(visible);
    Real sum = 0;
    for (Real& exponential : exponentials) {
      exponential = std::exp(exponential - maximum);
      sum += exponential;
    }
    *log_sum_exp = all_minus_infinity ? minus_infinity : maximum + std::log(sum);

    std::vector<Real> accumulated(static_cast<std::size_t>(sizes.value_head_size), 0);
    for (std::size_t n = 0; n < visible.size(); ++n) {
      weights[visible[n]] = exponentials[n] / sum;
      const Real weight = static_cast<Real>(round_weight_(exponentials[n])) / sum;
      const double* value = &attention_.value[Row(description.value.shape, b, kv_head, visible[n])];
      for (std::size_t d = 0; d < accumulated.size(); ++d) accumulated[d] += weight * static_cast<Real>(value[d]);
    }
    for (std::size_t d = 0; d < accumulated.size(); ++d) output[d] = accumulated[d];
  }

  void ComputeEmpty(std::int64_t b, std::int64_t kv_head, double* output, double* weights, double* log_sum_exp) {
    const core::ProblemDescription& description = attention_.description;
    const Sizes sizes = SizesOf(description);
    *log_sum_exp = -std::numeric_limits<double>::infinity();
    if (description.empty_row == core::EmptyRow::kZero) return;
    const auto keys = static_cast<Real>(sizes.keys);
    for (std::int64_t j = 0; j < sizes.keys; ++j) weights[j] = 1 / keys;
    for (std::int64_t d = 0; d < sizes.value_head_size; ++d) {
      Real sum = 0;
      for (std::int64_t j = 0; j < sizes.keys; ++j) {
        sum += static_cast<Real>(
            attention_.value[Row(description.value.shape, b, kv_head, j) + static_cast<std::size_t>(d)]);
      }
      output[d] = sum / keys;
    }
  }

 private:
  std::size_t Row(const core::Shape& shape, std::int64_t b, std::int64_t h, std::int64_t s) const {
    return static_cast<std::size_t>(RowStart(shape, attention_.description.layout, b, h, s));
  }

  const AttentionCase& attention_;
  const Rounding& round_weight_;
};

template <typename Real>
Answer Attend(const AttentionCase& attention, const Rounding& round_weight, const Rounding& round_output) {
  const core::ProblemDescription& description = attention.description;
  const Sizes sizes = SizesOf(description);
  core::Shape output_shape = description.query.shape;
  output_shape.back() = sizes.value_head_size;
  const std::int64_t rows = sizes.batch * sizes.query_heads * sizes.query_rows;

  Answer answer;
  answer.output.resize(static_cast<std::size_t>(rows * sizes.value_head_size));
  answer.weights.resize(static_cast<std::size_t>(rows * sizes.keys));
  answer.log_sum_exp.resize(static_cast<std::size_t>(rows));
  RowFormula<Real> formula(attention, round_weight);
  std::int64_t row = 0;
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    for (std::int64_t h = 0; h < sizes.query_heads; ++h) {
      const std::int64_t kv_head = h / (sizes.query_heads / sizes.key_value_heads);
      for (std::int64_t i = 0; i < sizes.query_rows; ++i, ++row) {
        double* output = answer.output.data() + RowStart(output_shape, description.layout, b, h, i);
        double* weights = answer.weights.data() + row * sizes.keys;
        double* log_sum_exp = answer.log_sum_exp.data() + row;
        const std::vector<std::int64_t> visible = VisibleKeys(attention, b, h, i);
        if (visible.empty()) {
          ++answer.empty_rows;
          formula.ComputeEmpty(b, kv_head, output, weights, log_sum_exp);
        } else {
          const double* query =
              &attention
                   .query[static_cast<std::size_t>(RowStart(description.query.shape, description.layout, b, h, i))];
          formula.Compute(query, visible, b, kv_head, output, weights, log_sum_exp);
        }
      }
    }
  }
  for (double& number : answer.output) number = round_output(number);
  return answer;
}

}  // namespace

std::vector<std::int64_t> VisibleKeys(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i) {
  const Sizes sizes = SizesOf(attention.description);
  std::vector<std::int64_t> visible;
  for (std::int64_t j = 0; j < sizes.keys; ++j) {
    if (IsVisible(attention, sizes, b, h, i, j)) visible.push_back(j);
  }
  return visible;
}

Answer Reference(const AttentionCase& attention) { return Attend<double>(attention, Exactly, Exactly); }

Answer PlainFloat32(const AttentionCase& attention) { return Attend<float>(attention, Exactly, Exactly); }

Answer RoundedModel(const AttentionCase& attention) {
  const core::ElementType type = attention.description.query.element_type;
  const auto round = [type](double number) { return RoundTo(type, number); };
  return Attend<double>(attention, round, round);
}

}  // namespace attnd::test
