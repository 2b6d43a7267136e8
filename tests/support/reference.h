// The definition of attention, plain enough to be read as one: what every result is held against.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/attention_case.h"

namespace attnd::test {

struct Answer {
  // In the layout and shapes of the case, as attention.proto describes an answer.
  std::vector<double> output;
  std::vector<double> weights;
  std::vector<double> log_sum_exp;
  std::int64_t empty_rows = 0;
};

// The definition in float64. What a mask hides is not read.
Answer Reference(const AttentionCase& attention);

// The same formula, row by row, in float32 throughout: what a good float32 result may be compared with.
Answer PlainFloat32(const AttentionCase& attention);

// The definition in float64, but with exp(score − maximum) rounded to the element type before it is multiplied by the
// value, and the output rounded to it: what a 16-bit result may be compared with.
Answer RoundedModel(const AttentionCase& attention);

// Whether the query row is padding.
bool IsPadding(const AttentionCase& attention, std::int64_t b, std::int64_t i);

// The magnitudes of bias and ALiBi together, of a visible pair.
double LargestAddition(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j);

// Where query row i of the batch entry stands among the keys.
std::int64_t PositionOf(const AttentionCase& attention, std::int64_t b, std::int64_t i);

// Whether the query row may see the key; and the keys that it may, in ascending order.
bool IsVisible(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j);
std::vector<std::int64_t> VisibleKeys(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i);

// The score of the pair in float64, at a stage before the weights; what is hidden is not told apart.
double Score(const AttentionCase& attention, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j,
             core::MatrixStage stage);

}  // namespace attnd::test
