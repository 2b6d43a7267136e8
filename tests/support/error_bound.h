// How far a result may be from the definition. Errors are the largest absolute difference over a tensor.
#pragma once

#include "tests/support/attention_case.h"
#include "tests/support/reference.h"

namespace attnd::test {

struct ErrorBound {
  double output = 0;
  double weights = 0;
  double log_sum_exp = 0;
};

// With L the largest Σ|q·k|·|scale| of a visible pair (plus the magnitudes of what is added to its score), V the
// largest visible |value|, and the term T = 2⁻²² + D·2⁻²⁴·L:
//   - float32 output: 2 × the error of PlainFloat32 + T·V
//   - 16-bit output: 2 × the error of RoundedModel + T·V + what flushing bfloat16's denormals to zero can contribute
//   - weights: 2 × the error of PlainFloat32 + T
//   - log-sum-exp: T + 2⁻²³·|its largest value|
ErrorBound BoundOf(const AttentionCase& attention, const Answer& reference);

// The largest absolute difference; infinite where one has a NaN or an infinity and the other has not the same.
double LargestDifference(const std::vector<double>& left, const std::vector<double>& right);

// Fails the test where the answer differs from Reference(attention) by more than its bound, or in its infinities, NaNs
// or count of empty rows. Keeps the worst error/bound, which is printed at the end of the test program.
void ExpectCorrect(const AttentionCase& attention, const Answer& answer);

}  // namespace attnd::test
