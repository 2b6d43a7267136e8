#include "client/cpp/key_range_merge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace attnd {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// A value that is not finite reaches the sum however little it weighs, as in a sum over all keys. A weight that is NaN
// reaches all.
double Weighted(double weight, double number) {
  return std::isfinite(number) || std::isnan(weight) ? weight * number : number;
}

}  // namespace

double KeyRangeMerge::LogSumExpOfKeys(const Row& row) {
  return row.is_seen ? row.maximum + std::log(row.sum) : kMinusInfinity;
}

KeyRangeMerge::KeyRangeMerge(const Sizes& sizes, Layout layout, EmptyRow empty_row, std::vector<float> sinks)
    : sizes_(sizes),
      layout_(layout),
      empty_row_(empty_row),
      sinks_(std::move(sinks)),
      rows_(static_cast<std::size_t>(sizes.query_heads * sizes.query_rows)),
      sums_(rows_.size() * static_cast<std::size_t>(sizes.value_head_size)) {}

std::int64_t KeyRangeMerge::OutputStart(std::size_t row) const {
  auto place = static_cast<std::int64_t>(row);
  if (layout_ == Layout::kBshd) {
    const std::int64_t head = place / sizes_.query_rows;
    place = place % sizes_.query_rows * sizes_.query_heads + head;
  }
  return place * sizes_.value_head_size;
}

void KeyRangeMerge::Add(Range keys, const float* output, const float* log_sum_exp) {
  ranges_.push_back({keys, {log_sum_exp, log_sum_exp + rows_.size()}});
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    double* sums = sums_.data() + static_cast<std::int64_t>(row) * sizes_.value_head_size;
    AddRow(rows_[row], sums, keys, output + OutputStart(row), log_sum_exp[row]);
  }
}

void KeyRangeMerge::AddRow(Row& row, double* sums, Range keys, const float* output, double log_sum_exp) const {
  double old_weight = 1;
  auto new_weight = static_cast<double>(keys.size());  // while no key is seen: the mean of means
  if (log_sum_exp != kMinusInfinity) {
    if (!row.is_seen) {
      row = {.is_seen = true, .maximum = kMinusInfinity};
      std::fill_n(sums, sizes_.value_head_size, 0.0);
    }
    const double maximum = std::max(row.maximum, log_sum_exp);
    old_weight = std::exp(row.maximum - maximum);
    new_weight = std::exp(log_sum_exp - maximum);
    row.sum = row.sum * old_weight + new_weight;
    row.maximum = maximum;
  } else if (row.is_seen) {
    return;
  }
  for (std::int64_t d = 0; d < sizes_.value_head_size; ++d) {
    sums[d] = Weighted(old_weight, sums[d]) + Weighted(new_weight, output[d]);
  }
}

void KeyRangeMerge::GetOutput(float* output) const {
  const double* sums = sums_.data();
  for (std::size_t index = 0; index < rows_.size(); ++index) {
    const Row& row = rows_[index];
    double divisor = row.is_seen ? row.sum : static_cast<double>(sizes_.keys);
    if (row.is_seen && SinkOf(index) != kMinusInfinity) divisor *= std::exp(LogSumExp(index) - LogSumExpOfKeys(row));
    std::transform(sums, sums + sizes_.value_head_size, output + OutputStart(index),
                   [&](double sum) { return static_cast<float>(sum / divisor); });
    sums += sizes_.value_head_size;
  }
}

bool KeyRangeMerge::IsPadding(std::size_t row) const {
  return static_cast<std::int64_t>(row) % sizes_.query_rows >= sizes_.query_length;
}

double KeyRangeMerge::SinkOf(std::size_t row) const {
  if (sinks_.empty() || IsPadding(row)) return kMinusInfinity;
  return sinks_[row / static_cast<std::size_t>(sizes_.query_rows)];
}

double KeyRangeMerge::LogSumExp(std::size_t row) const {
  const double of_keys = LogSumExpOfKeys(rows_[row]);
  const double sink = SinkOf(row);
  if (sink == kMinusInfinity) return of_keys;
  const double maximum = std::max(of_keys, sink);
  return maximum + std::log(std::exp(of_keys - maximum) + std::exp(sink - maximum));
}

void KeyRangeMerge::GetLogSumExp(float* log_sum_exp) const {
  for (std::size_t row = 0; row < rows_.size(); ++row) log_sum_exp[row] = static_cast<float>(LogSumExp(row));
}

std::int64_t KeyRangeMerge::CountEmptyRows() const {
  std::int64_t count = 0;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    if (rows_[row].is_seen || IsPadding(row)) continue;
    // A row that sees keys, but with scores of −∞ only, has no log-sum-exp either; its output is NaN.
    const double first = sums_[row * static_cast<std::size_t>(sizes_.value_head_size)];
    if (empty_row_ == EmptyRow::kMeanOfAllValues || !std::isnan(first)) ++count;
  }
  return count;
}

void KeyRangeMerge::ScaleWeights(float* weights, std::int64_t head_stride) const {
  for (std::size_t index = 0; index < rows_.size(); ++index) {
    const Row& row = rows_[index];
    const std::int64_t head = static_cast<std::int64_t>(index) / sizes_.query_rows;
    const std::int64_t query_row = static_cast<std::int64_t>(index) % sizes_.query_rows;
    float* first = weights + head * head_stride + query_row * sizes_.keys;
    for (const KeyRange& range : ranges_) {
      const double log_sum_exp = range.log_sum_exp[index];
      float* begin = first + range.keys.begin;
      float* end = first + range.keys.end;
      if (row.is_seen && log_sum_exp == kMinusInfinity) {
        std::fill(begin, end, 0.0F);
        continue;
      }
      const double factor = row.is_seen ? std::exp(log_sum_exp - LogSumExp(index))
                                        : static_cast<double>(range.keys.size()) / static_cast<double>(sizes_.keys);
      std::transform(begin, end, begin, [&](float weight) { return static_cast<float>(weight * factor); });
    }
  }
}

}  // namespace attnd
