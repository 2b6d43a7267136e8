// What weights add up to, along a row and down the columns of a tile. Highway code, dispatched at run time. All
// functions are thread-safe and work on plain memory.
//
// They sum in float32, in whole vectors from the first weight on: at most kMostTerms numbers of one sign, so that a sum
// is exact to kMostTerms·2⁻²⁴ of itself. Who adds up more does so in float64.
#pragma once

#include <cstdint>

namespace attnd::core::kernels {

inline constexpr std::int64_t kMostTerms = 256;

// Σ w
float Sum(const float* weights, std::int64_t count);
// max w; 0 where there are none, NaN where there is one.
float Largest(const float* weights, std::int64_t count);
// −Σ w·ln w, where 0·ln 0 = 0.
float Entropy(const float* weights, std::int64_t count);
// Σ_c w[c]·|position − c|
float Distance(const float* weights, std::int64_t count, float position);

// sums[c] = Σ_r w[r, c]; `stride` elements from a row to the next.
void ColumnSums(const float* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride, float* sums);
// maxima[c] = max_r w[r, c]; 0 where there are no rows, NaN where there is one.
void ColumnMaxima(const float* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride, float* maxima);

// to[c] += from[c]
void Add(const float* from, std::int64_t count, float* to);

}  // namespace attnd::core::kernels
