#include "tests/support/summary_reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "tests/support/reference.h"

namespace attnd::test {
namespace {

using core::Output;

std::vector<std::int64_t> AllOf(std::int64_t count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// NaN where one of the two is.
double Larger(double left, double right) { return right > left || std::isnan(right) ? right : left; }

// The weights of one row.
const double* RowOf(const AttentionCase& attention, const std::vector<double>& weights, std::int64_t b, std::int64_t h,
                    std::int64_t i) {
  return &weights[static_cast<std::size_t>(RowIndex(attention.description, b, h, i) *
                                           SizesOf(attention.description).keys)];
}

// A number of the matrix at its stage.
double MatrixElement(const AttentionCase& attention, const std::vector<double>& weights, std::int64_t b, std::int64_t h,
                     std::int64_t i, std::int64_t j) {
  const core::MatrixStage stage = attention.description.summaries.matrix->stage;
  if (stage == core::MatrixStage::kWeights) return RowOf(attention, weights, b, h, i)[j];
  if (stage == core::MatrixStage::kMasked && !IsVisible(attention, b, h, i, j)) {
    return -std::numeric_limits<double>::infinity();
  }
  return IsPadding(attention, b, i) ? 0 : Score(attention, b, h, i, j, stage);
}

// What one head says.
class HeadSummaries {
 public:
  HeadSummaries(const AttentionCase& attention, const std::vector<double>& weights, std::int64_t b, std::int64_t h)
      : attention_(attention),
        weights_(weights),
        b_(b),
        h_(h),
        keys_(EntryOf(attention.description, b).keys),
        rows_(CoveredRows(attention, b)) {}

  SummaryAnswer Compute() const {
    const core::SummaryOptions& asked = attention_.description.summaries;
    SummaryAnswer answer;
    for (const std::int64_t i : rows_) AddRow(i, answer);
    if (asked.received_sum) answer[Output::kReceivedSum] = Received(std::plus<>());
    if (asked.received_maximum) answer[Output::kReceivedMaximum] = Received(Larger);
    if (asked.pooled_map) answer[Output::kPooledMap] = PooledMap(*asked.pooled_map);
    return answer;
  }

 private:
  double Weight(std::int64_t i, std::int64_t j) const { return RowOf(attention_, weights_, b_, h_, i)[j]; }

  void AddRow(std::int64_t i, SummaryAnswer& answer) const {
    const core::SummaryOptions& asked = attention_.description.summaries;
    double entropy = 0, largest = 0, first = 0, distance = 0;
    for (std::int64_t j = 0; j < keys_; ++j) {
      const double w = Weight(i, j);
      entropy -= w == 0 ? 0 : w * std::log(w);
      largest = Larger(largest, w);
      if (j < asked.first_keys) first += w;
      if (w != 0) distance += w * static_cast<double>(std::abs(PositionOf(attention_, b_, i) - j));
    }
    if (asked.entropy) answer[Output::kEntropy].push_back(entropy);
    if (asked.largest_weight) answer[Output::kLargestWeight].push_back(largest);
    if (asked.first_keys > 0) answer[Output::kFirstKeysWeight].push_back(first);
    if (asked.mean_distance) answer[Output::kMeanDistance].push_back(distance);
    if (!asked.matrix) return;
    for (std::int64_t j = 0; j < SizesOf(attention_.description).keys; ++j) {
      answer[Output::kMatrix].push_back(j < keys_ ? MatrixElement(attention_, weights_, b_, h_, i, j) : 0);
    }
  }

  template <typename Combine>
  std::vector<double> Received(Combine combine) const {
    std::vector<double> received(static_cast<std::size_t>(keys_));
    for (const std::int64_t i : rows_) {
      for (std::int64_t j = 0; j < keys_; ++j) {
        double& of_key = received[static_cast<std::size_t>(j)];
        of_key = combine(of_key, Weight(i, j));
      }
    }
    return received;
  }

  std::vector<double> PooledMap(const core::PooledMap& map) const {
    const auto begin = [](std::int64_t cell, std::int64_t cells, std::int64_t count) { return cell * count / cells; };
    const std::int64_t row_count = std::ssize(rows_);
    std::vector<double> cells;
    for (std::int64_t r = 0; r < map.rows; ++r) {
      for (std::int64_t c = 0; c < map.columns; ++c) {
        double sum = 0, maximum = 0;
        std::int64_t count = 0;
        for (std::int64_t n = begin(r, map.rows, row_count); n < begin(r + 1, map.rows, row_count); ++n) {
          for (std::int64_t j = begin(c, map.columns, keys_); j < begin(c + 1, map.columns, keys_); ++j, ++count) {
            const double w = Weight(rows_[static_cast<std::size_t>(n)], j);
            sum += w;
            maximum = Larger(maximum, w);
          }
        }
        const bool is_mean = map.pooling == core::Pooling::kMean;
        cells.push_back(is_mean && count > 0 ? sum / static_cast<double>(count) : maximum);
      }
    }
    return cells;
  }

  const AttentionCase& attention_;
  const std::vector<double>& weights_;
  const std::int64_t b_;
  const std::int64_t h_;
  const std::int64_t keys_;
  const std::vector<std::int64_t> rows_;
};

// The k largest of a row, as keys and weights.
void AddTopKeys(const CombinedRow& row, std::int64_t k, SummaryAnswer& answer) {
  std::vector<std::int64_t> keys;
  for (std::size_t j = 0; j < row.seen.size(); ++j) {
    if (row.seen[j]) keys.push_back(static_cast<std::int64_t>(j));
  }
  const auto weight = [&](std::int64_t key) { return row.weights[static_cast<std::size_t>(key)]; };
  std::ranges::stable_sort(keys, [&](std::int64_t left, std::int64_t right) {
    return weight(left) > weight(right) || (std::isnan(weight(left)) && !std::isnan(weight(right)));
  });
  for (std::size_t n = 0; n < static_cast<std::size_t>(k); ++n) {
    answer[Output::kTopKeys].push_back(n < keys.size() ? static_cast<double>(keys[n]) : -1);
    answer[Output::kTopWeights].push_back(n < keys.size() ? weight(keys[n]) : 0);
  }
}

// Adds, element by element, into what the first one begins.
void AddTo(SummaryAnswer& sum, const SummaryAnswer& answer, double factor) {
  for (const Output name : core::kOutputs) {
    sum[name].resize(answer[name].size());
    for (std::size_t n = 0; n < answer[name].size(); ++n) sum[name][n] += factor * answer[name][n];
  }
}

void Append(SummaryAnswer& all, const SummaryAnswer& part) {
  for (const Output name : core::kOutputs) all[name].insert(all[name].end(), part[name].begin(), part[name].end());
}

// Of a batch entry, and of the heads that are combined.
SummaryAnswer SummariesOfHeads(const AttentionCase& attention, const std::vector<double>& weights, std::int64_t b,
                               const std::vector<std::int64_t>& heads) {
  const core::SummaryOptions& asked = attention.description.summaries;
  const double factor = asked.head_reduction == core::HeadReduction::kMean ? 1 / static_cast<double>(heads.size()) : 1;
  SummaryAnswer answer;
  for (const std::int64_t h : heads) AddTo(answer, HeadSummaries(attention, weights, b, h).Compute(), factor);
  if (asked.top_keys == 0) return answer;
  for (const std::int64_t i : CoveredRows(attention, b)) {
    AddTopKeys(CombineHeads(attention, weights, b, heads, i), asked.top_keys, answer);
  }
  return answer;
}

}  // namespace

std::vector<std::int64_t> CoveredEntries(const AttentionCase& attention) {
  const auto& chosen = attention.description.summaries.batch_entries;
  return chosen.empty() ? AllOf(SizesOf(attention.description).batch) : chosen;
}

std::vector<std::int64_t> CoveredHeads(const AttentionCase& attention) {
  const auto& chosen = attention.description.summaries.heads;
  return chosen.empty() ? AllOf(SizesOf(attention.description).query_heads) : chosen;
}

std::vector<std::int64_t> CoveredRows(const AttentionCase& attention, std::int64_t b) {
  const auto& chosen = attention.description.summaries.query_rows;
  const Entry entry = EntryOf(attention.description, b);
  if (chosen.empty()) return AllOf(entry.query_rows);
  std::vector<std::int64_t> rows;
  for (const std::int64_t row : chosen) {
    const std::int64_t i = row - entry.first_row;
    if (i >= 0 && i < entry.query_rows) rows.push_back(i);
  }
  return rows;
}

CombinedRow CombineHeads(const AttentionCase& attention, const std::vector<double>& weights, std::int64_t b,
                         const std::vector<std::int64_t>& heads, std::int64_t i) {
  const auto keys = static_cast<std::size_t>(EntryOf(attention.description, b).keys);
  const bool is_mean = attention.description.summaries.head_reduction == core::HeadReduction::kMean;
  CombinedRow row{.weights = std::vector<double>(keys), .seen = std::vector<bool>(keys)};
  for (const std::int64_t h : heads) {
    const double* of_head = RowOf(attention, weights, b, h, i);
    const std::vector<std::int64_t> visible = VisibleKeys(attention, b, h, i);
    for (const std::int64_t j : visible) row.seen[static_cast<std::size_t>(j)] = true;
    // All keys have a weight then.
    const bool is_mean_row = visible.empty() && !IsPadding(attention, b, i) &&
                             attention.description.empty_row == core::EmptyRow::kMeanOfAllValues;
    if (is_mean_row) row.seen.assign(keys, true);
    for (std::size_t j = 0; j < keys; ++j) row.weights[j] += of_head[j];
  }
  for (double& weight : row.weights) weight /= is_mean ? static_cast<double>(heads.size()) : 1;
  return row;
}

SummaryAnswer SummariesOf(const AttentionCase& attention, const std::vector<double>& weights) {
  const bool reduces = attention.description.summaries.head_reduction != core::HeadReduction::kNone;
  std::vector<std::vector<std::int64_t>> groups;
  if (reduces) {
    groups.push_back(CoveredHeads(attention));
  } else {
    for (const std::int64_t h : CoveredHeads(attention)) groups.push_back({h});
  }
  SummaryAnswer answer;
  if (!attention.description.ragged) {
    for (const std::int64_t b : CoveredEntries(attention)) {
      for (const auto& heads : groups) Append(answer, SummariesOfHeads(attention, weights, b, heads));
    }
    return answer;
  }
  // [H', T, …]: sequences follow each other within a head; the maps, [B, H', …], are the other way round.
  SummaryAnswer maps;
  for (const auto& heads : groups) {
    for (const std::int64_t b : CoveredEntries(attention)) {
      Append(answer, SummariesOfHeads(attention, weights, b, heads));
    }
  }
  for (const std::int64_t b : CoveredEntries(attention)) {
    for (const auto& heads : groups) Append(maps, SummariesOfHeads(attention, weights, b, heads));
  }
  answer[Output::kPooledMap] = maps[Output::kPooledMap];
  return answer;
}

}  // namespace attnd::test
