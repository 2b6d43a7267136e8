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

bool ClosedFormsShow(const AttentionCase& attention, std::int64_t b, std::int64_t i, std::int64_t j) {
  const core::MaskOptions& mask = attention.description.mask;
  const auto entry = static_cast<std::size_t>(b);
  const std::int64_t position = PositionOf(attention, b, i);
  if (mask.causal) {
    const bool in_prefix = !mask.causal->prefix_lengths.empty() && j < mask.causal->prefix_lengths[entry];
    if (j > position && !in_prefix) return false;
  }
  if (mask.key_lengths && j >= (*mask.key_lengths)[entry]) return false;
  if (mask.query_lengths && i >= (*mask.query_lengths)[entry]) return false;
  if (!mask.window) return true;
  return (!mask.window->left || j >= position - *mask.window->left) &&
         (!mask.window->right || j <= position + *mask.window->right);
}

bool SegmentsShow(const AttentionCase& attention, std::int64_t b, std::int64_t i, std::int64_t j) {
  const core::ProblemDescription& description = attention.description;
  if (!description.mask.segments) return true;
  const Sizes sizes = SizesOf(description);
  const Entry entry = EntryOf(description, b);
  const std::int64_t row = description.ragged ? entry.first_row + i : b * sizes.query_rows + i;
  const std::int64_t key = description.ragged ? entry.first_key + j : b * sizes.keys + j;
  return attention.query_segment_ids[static_cast<std::size_t>(row)] ==
         attention.key_segment_ids[static_cast<std::size_t>(key)];
}

bool BlocksShow(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  const auto& blocks = attention.description.mask.blocks;
  if (!blocks) return true;
  const auto element = BroadcastElement(attention.description, blocks->tensor.shape, b, h, i / blocks->query_block_rows,
                                        j / blocks->key_block_keys);
  return attention.block_mask[*element] != 0;
}

// −∞ where a bias does not reach.
double BiasOf(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  const auto& bias = attention.description.modifiers.bias;
  if (!bias) return 0;
  const auto element = BroadcastElement(attention.description, bias->shape, b, h, i, j);
  return element ? attention.bias[*element] : -std::numeric_limits<double>::infinity();
}

template <typename Real>
Real Added(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  const auto& bias = attention.description.modifiers.bias;
  // A narrow bias adds nothing where it does not reach.
  const bool reaches = bias && BroadcastElement(attention.description, bias->shape, b, h, i, j).has_value();
  Real added = reaches ? static_cast<Real>(BiasOf(attention, b, h, i, j)) : 0;
  const auto& slopes = attention.description.modifiers.alibi_slopes;
  if (slopes) {
    added -= static_cast<Real>((*slopes)[static_cast<std::size_t>(h)]) *
             static_cast<Real>(std::abs(PositionOf(attention, b, i) - j));
  }
  return added;
}

template <typename Real>
Real ScoreOf(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j,
             core::MatrixStage stage) {
  const core::ProblemDescription& description = attention.description;
  const core::ModifierOptions& modifiers = description.modifiers;
  const Sizes sizes = SizesOf(description);
  const std::int64_t kv_head = h / (sizes.query_heads / sizes.key_value_heads);
  const auto scale = static_cast<Real>(
      static_cast<float>(description.scale.value_or(1 / std::sqrt(static_cast<double>(sizes.head_size)))));
  const double* query =
      &attention.query[static_cast<std::size_t>(QueryRowStart(description, description.query.shape, b, h, i))];
  const double* key =
      &attention.key[static_cast<std::size_t>(KeyRowStart(description, description.key.shape, b, kv_head, j))];
  Real score = 0;
  for (std::int64_t d = 0; d < sizes.head_size; ++d) score += static_cast<Real>(query[d]) * static_cast<Real>(key[d]);
  score *= scale;
  if (stage == core::MatrixStage::kScaled) return score;
  const bool before = modifiers.bias_place == core::BiasPlace::kBeforeSoftCap;
  if (before) score += Added<Real>(attention, b, h, i, j);
  if (modifiers.soft_cap) {
    const auto cap = static_cast<Real>(static_cast<float>(*modifiers.soft_cap));
    score = cap * std::tanh(score / cap);
  }
  if (before || stage == core::MatrixStage::kSoftCapped) return score;
  return score + Added<Real>(attention, b, h, i, j);
}

// softmax(q·Kᵀ·scale)·V of one row, over the keys that it may see. Real is the type of every intermediate number.
template <typename Real>
class RowFormula {
 public:
  RowFormula(const AttentionCase& attention, const Rounding& round_weight)
      : attention_(attention), round_weight_(round_weight) {}

  void Compute(const std::vector<std::int64_t>& visible, std::int64_t b, std::int64_t h, std::int64_t i, double* output,
               double* weights, double* log_sum_exp) {
    const core::ProblemDescription& description = attention_.description;
    const Sizes sizes = SizesOf(description);
    const std::int64_t kv_head = h / (sizes.query_heads / sizes.key_value_heads);
    const double sink = SinkOf(description, h);

    std::vector<Real> exponentials;
    Real maximum = static_cast<Real>(sink);
    for (const std::int64_t j : visible) {
      exponentials.push_back(ScoreOf<Real>(attention_, b, h, i, j, core::MatrixStage::kMasked));
      maximum = std::fmax(maximum, exponentials.back());
    }
    // Of scores that are all −∞ the sum of exponentials is 0, though their weights, 0/0, are not numbers.
    const Real minus_infinity = -std::numeric_limits<Real>::infinity();
    const bool all_minus_infinity =
        sink == minus_infinity && std::ranges::count(exponentials, minus_infinity) == std::ssize(visible);
    Real sum = sink == minus_infinity ? 0 : std::exp(static_cast<Real>(sink) - maximum);
    for (Real& exponential : exponentials) {
      exponential = std::exp(exponential - maximum);
      sum += exponential;
    }
    *log_sum_exp = all_minus_infinity ? minus_infinity : maximum + std::log(sum);

    std::vector<Real> accumulated(static_cast<std::size_t>(sizes.value_head_size), 0);
    for (std::size_t n = 0; n < visible.size(); ++n) {
      weights[visible[n]] = exponentials[n] / sum;
      const Real weight = static_cast<Real>(round_weight_(exponentials[n])) / sum;
      const double* value = &attention_.value[KeyRow(description.value.shape, b, kv_head, visible[n])];
      for (std::size_t d = 0; d < accumulated.size(); ++d) accumulated[d] += weight * static_cast<Real>(value[d]);
    }
    for (std::size_t d = 0; d < accumulated.size(); ++d) output[d] = accumulated[d];
  }

  void ComputeEmpty(std::int64_t b, std::int64_t h, double* output, double* weights, double* log_sum_exp) {
    const core::ProblemDescription& description = attention_.description;
    const Sizes sizes = SizesOf(description);
    *log_sum_exp = SinkOf(description, h);
    const std::int64_t keys = EntryOf(description, b).keys;
    if (description.empty_row == core::EmptyRow::kZero || keys == 0) return;
    const std::int64_t kv_head = h / (sizes.query_heads / sizes.key_value_heads);
    for (std::int64_t j = 0; j < keys; ++j) weights[j] = 1 / static_cast<Real>(keys);
    for (std::int64_t d = 0; d < sizes.value_head_size; ++d) {
      Real sum = 0;
      for (std::int64_t j = 0; j < keys; ++j) {
        sum += static_cast<Real>(
            attention_.value[KeyRow(description.value.shape, b, kv_head, j) + static_cast<std::size_t>(d)]);
      }
      output[d] = sum / static_cast<Real>(keys);
    }
  }

 private:
  static double SinkOf(const core::ProblemDescription& description, std::int64_t h) {
    const std::vector<float>& sinks = description.modifiers.sinks;
    return sinks.empty() ? -std::numeric_limits<double>::infinity() : sinks[static_cast<std::size_t>(h)];
  }

  std::size_t KeyRow(const core::Shape& shape, std::int64_t b, std::int64_t h, std::int64_t s) const {
    return static_cast<std::size_t>(KeyRowStart(attention_.description, shape, b, h, s));
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
  const std::int64_t rows = RowCount(description);

  Answer answer;
  answer.output.resize(static_cast<std::size_t>(rows * sizes.value_head_size));
  answer.weights.resize(static_cast<std::size_t>(rows * sizes.keys));
  answer.log_sum_exp.resize(static_cast<std::size_t>(rows), -std::numeric_limits<double>::infinity());
  RowFormula<Real> formula(attention, round_weight);
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    for (std::int64_t h = 0; h < sizes.query_heads; ++h) {
      for (std::int64_t i = 0; i < EntryOf(description, b).query_rows; ++i) {
        const std::int64_t row = RowIndex(description, b, h, i);
        double* output = answer.output.data() + QueryRowStart(description, output_shape, b, h, i);
        double* weights = answer.weights.data() + row * sizes.keys;
        double* log_sum_exp = answer.log_sum_exp.data() + row;
        const std::vector<std::int64_t> visible = VisibleKeys(attention, b, h, i);
        if (IsPadding(attention, b, i)) continue;
        if (visible.empty()) {
          ++answer.empty_rows;
          formula.ComputeEmpty(b, h, output, weights, log_sum_exp);
        } else {
          formula.Compute(visible, b, h, i, output, weights, log_sum_exp);
        }
      }
    }
  }
  for (double& number : answer.output) number = round_output(number);
  return answer;
}

}  // namespace

std::int64_t PositionOf(const AttentionCase& attention, std::int64_t b, std::int64_t i) {
  const core::ProblemDescription& description = attention.description;
  const auto& causal = description.mask.causal;
  const bool causal_says = causal && (causal->positions.alignment || causal->positions.offsets);
  const core::PositionOptions& positions = causal_says ? causal->positions : description.positions;
  if (positions.offsets) return i + (*positions.offsets)[static_cast<std::size_t>(b)];
  if (positions.alignment != core::Alignment::kBottomRight) return i;
  const Entry entry = EntryOf(description, b);
  return i + entry.keys - entry.query_rows;
}

bool IsPadding(const AttentionCase& attention, std::int64_t b, std::int64_t i) {
  const auto& lengths = attention.description.mask.query_lengths;
  return lengths && i >= (*lengths)[static_cast<std::size_t>(b)];
}

bool IsVisible(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  if (!ClosedFormsShow(attention, b, i, j) || !SegmentsShow(attention, b, i, j)) return false;
  if (!BlocksShow(attention, b, h, i, j)) return false;
  if (BiasOf(attention, b, h, i, j) == -std::numeric_limits<double>::infinity()) return false;
  const auto& boolean = attention.description.mask.boolean;
  if (!boolean) return true;
  const auto element = BroadcastElement(attention.description, boolean->shape, b, h, i, j);
  return element && attention.mask[*element] != 0;
}

double Score(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j,
             core::MatrixStage stage) {
  return ScoreOf<double>(attention, b, h, i, j, stage);
}

std::vector<std::int64_t> VisibleKeys(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i) {
  std::vector<std::int64_t> visible;
  for (std::int64_t j = 0; j < EntryOf(attention.description, b).keys; ++j) {
    if (IsVisible(attention, b, h, i, j)) visible.push_back(j);
  }
  return visible;
}

double LargestAddition(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  double added = std::fabs(BiasOf(attention, b, h, i, j));
  const auto& slopes = attention.description.modifiers.alibi_slopes;
  if (slopes) {
    added += std::fabs((*slopes)[static_cast<std::size_t>(h)]) *
             static_cast<double>(std::abs(PositionOf(attention, b, i) - j));
  }
  return added;
}

Answer Reference(const AttentionCase& attention) { return Attend<double>(attention, Exactly, Exactly); }

Answer PlainFloat32(const AttentionCase& attention) { return Attend<float>(attention, Exactly, Exactly); }

Answer RoundedModel(const AttentionCase& attention) {
  const core::ElementType type = attention.description.query.element_type;
  const auto round = [type](double number) { return RoundTo(type, number); };
  return Attend<double>(attention, round, round);
}

}  // namespace attnd::test
