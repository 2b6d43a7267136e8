#include "core/kernels/weight_sums.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/weight_sums.cpp"
#include <hwy/foreach_target.h>  // compiles what follows once for each instruction set
#include <hwy/highway.h>
// After it, since it is compiled once for each as well.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace attnd::core::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using Vec = hn::Vec<F32>;

// NaN where one of the two is. (hn::Max is the second of them then.)
HWY_INLINE Vec MaxOrNaN(Vec left, Vec right) {
  return hn::IfThenElse(hn::Or(hn::Gt(right, left), hn::IsNaN(right)), right, left);
}

// Σ term(w, c) over a row, c being the column of the vector's first weight. What is beyond the row is 0.
template <typename Term>
HWY_INLINE float SumOf(const float* weights, std::int64_t count, Term term) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec sums = hn::Zero(d);
  std::int64_t c = 0;
  for (; c + lanes <= count; c += lanes) sums = hn::Add(sums, term(d, hn::LoadU(d, weights + c), c));
  if (c < count) {
    sums = hn::Add(sums, term(d, hn::LoadN(d, weights + c, static_cast<std::size_t>(count - c)), c));
  }
  return hn::ReduceSum(d, sums);
}

float SumImpl(const float* weights, std::int64_t count) {
  return SumOf(weights, count, [](F32 /*d*/, Vec w, std::int64_t /*c*/) HWY_ATTR { return w; });
}

float EntropyImpl(const float* weights, std::int64_t count) {
  return SumOf(weights, count, [](F32 d, Vec w, std::int64_t /*c*/) HWY_ATTR {
    return hn::IfThenZeroElse(hn::Eq(w, hn::Zero(d)), hn::Neg(hn::Mul(w, hn::Log(d, w))));
  });
}

float DistanceImpl(const float* weights, std::int64_t count, float position) {
  return SumOf(weights, count, [position](F32 d, Vec w, std::int64_t c) HWY_ATTR {
    const Vec columns = hn::Iota(d, static_cast<float>(c));
    return hn::Mul(w, hn::Abs(hn::Sub(hn::Set(d, position), columns)));
  });
}

float LargestImpl(const float* weights, std::int64_t count) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec largest = hn::Zero(d);
  for (std::int64_t c = 0; c < count; c += lanes) {
    const auto n = static_cast<std::size_t>(std::min(lanes, count - c));
    largest = MaxOrNaN(largest, hn::LoadN(d, weights + c, n));
  }
  if (!hn::AllFalse(d, hn::IsNaN(largest))) return std::numeric_limits<float>::quiet_NaN();
  return hn::ReduceMax(d, largest);
}

// combine(so far, w) down each column, beginning with 0.
template <typename Combine>
HWY_INLINE void DownColumns(const float* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                            float* results, Combine combine) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t c = 0; c < columns; c += lanes) {
    const auto n = static_cast<std::size_t>(std::min(lanes, columns - c));
    Vec result = hn::Zero(d);
    for (std::int64_t r = 0; r < rows; ++r) result = combine(result, hn::LoadN(d, weights + r * stride + c, n));
    hn::StoreN(result, d, results + c, n);
  }
}

void ColumnSumsImpl(const float* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride, float* sums) {
  DownColumns(weights, rows, columns, stride, sums, [](Vec sum, Vec w) HWY_ATTR { return hn::Add(sum, w); });
}

void ColumnMaximaImpl(const float* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                      float* maxima) {
  DownColumns(weights, rows, columns, stride, maxima, [](Vec maximum, Vec w) HWY_ATTR { return MaxOrNaN(maximum, w); });
}

void AddImpl(const float* from, std::int64_t count, float* to) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t c = 0; c < count; c += lanes) {
    const auto n = static_cast<std::size_t>(std::min(lanes, count - c));
    hn::StoreN(hn::Add(hn::LoadN(d, from + c, n), hn::LoadN(d, to + c, n)), d, to + c, n);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attnd::core::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnd::core::kernels {

HWY_EXPORT(SumImpl);
HWY_EXPORT(LargestImpl);
HWY_EXPORT(EntropyImpl);
HWY_EXPORT(DistanceImpl);
HWY_EXPORT(ColumnSumsImpl);
HWY_EXPORT(ColumnMaximaImpl);
HWY_EXPORT(AddImpl);

float Sum(const float* weights, std::int64_t count) { return HWY_DYNAMIC_DISPATCH(SumImpl)(weights, count); }

float Largest(const float* weights, std::int64_t count) { return HWY_DYNAMIC_DISPATCH(LargestImpl)(weights, count); }

float Entropy(const float* weights, std::int64_t count) { return HWY_DYNAMIC_DISPATCH(EntropyImpl)(weights, count); }

float Distance(const float* weights, std::int64_t count, float position) {
  return HWY_DYNAMIC_DISPATCH(DistanceImpl)(weights, count, position);
}

void ColumnSums(const float* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride, float* sums) {
  HWY_DYNAMIC_DISPATCH(ColumnSumsImpl)(weights, rows, columns, stride, sums);
}

void ColumnMaxima(const float* weights, std::int64_t rows, std::int64_t columns, std::int64_t stride, float* maxima) {
  HWY_DYNAMIC_DISPATCH(ColumnMaximaImpl)(weights, rows, columns, stride, maxima);
}

void Add(const float* from, std::int64_t count, float* to) { HWY_DYNAMIC_DISPATCH(AddImpl)(from, count, to); }

}  // namespace attnd::core::kernels
#endif
