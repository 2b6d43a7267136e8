// One result out of those for ranges of keys, by their log-sum-exp. Pure computation.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "client/cpp/attention.h"
#include "client/cpp/box.h"

namespace attnd {

// For some query rows of some heads of one batch entry. The softmax over all keys is that of each range weighted by
// exp(log-sum-exp of the range − that of all), so the outputs are summed up with these weights, in float64. A range in
// which a row sees no key weighs nothing, unless the row sees none at all. A sink is no key: of the ranges' results it
// is in none, and weighs in when all have come. NaN and infinities spoil what they would have spoilt without a cut.
class KeyRangeMerge {
 public:
  struct Sizes {
    std::int64_t query_heads = 0;
    std::int64_t query_rows = 0;
    std::int64_t value_head_size = 0;
    std::int64_t keys = 0;  // all of the problem
    // Rows from here on are padding; default: none.
    std::int64_t query_length = std::numeric_limits<std::int64_t>::max();
  };
  // `sinks` are empty, or one a query head.
  KeyRangeMerge(const Sizes& sizes, Layout layout, EmptyRow empty_row, std::vector<float> sinks = {});

  // The result for the next range: the output in the layout, log-sum-exp by head and row.
  void Add(Range keys, const float* output, const float* log_sum_exp);

  // The result for all ranges, in the same order; each pointer is to as many elements.
  void GetOutput(float* output) const;
  void GetLogSumExp(float* log_sum_exp) const;
  std::int64_t CountEmptyRows() const;

  // Turns the weights of each range, which stand beside each other in rows of all keys, into those of all ranges.
  // `weights` is the first row of the first head; its next row is `keys` elements on, the next head's `head_stride`
  // elements.
  void ScaleWeights(float* weights, std::int64_t head_stride) const;

 private:
  struct KeyRange {
    Range keys;
    std::vector<float> log_sum_exp;
  };
  // By head and row.
  struct Row {
    bool is_seen = false;  // whether a range with a weight came
    double maximum = 0;    // of the ranges' log-sum-exp
    double sum = 0;        // of exp(log-sum-exp − maximum)
  };

  void AddRow(Row& row, double* sums, Range keys, const float* output, double log_sum_exp) const;
  bool IsPadding(std::size_t row) const;
  // The row's sink, −∞ where there is none.
  double SinkOf(std::size_t row) const;
  static double LogSumExpOfKeys(const Row& row);
  // With the sink.
  double LogSumExp(std::size_t row) const;
  // Where the elements of a row begin in the output.
  std::int64_t OutputStart(std::size_t row) const;

  const Sizes sizes_;
  const Layout layout_;
  const EmptyRow empty_row_;
  const std::vector<float> sinks_;
  std::vector<KeyRange> ranges_;
  std::vector<Row> rows_;
  // Of the rows' outputs, by head and row: times exp(log-sum-exp − maximum), or where no range has a weight times its
  // keys.
  std::vector<double> sums_;
};

}  // namespace attnd
