#include "tests/bench/vector_work.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/vector_work.cpp"
// clang-format off
#include <hwy/foreach_target.h>  // compiles what follows once for each instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace attnd::bench {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

float SumImpl(const float* from, std::size_t count) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  auto a = hn::Zero(d);
  auto b = hn::Zero(d);
  auto c = hn::Zero(d);
  auto e = hn::Zero(d);
  for (std::size_t i = 0; i < count; i += 4 * lanes) {
    a = hn::Add(a, hn::LoadU(d, from + i));
    b = hn::Add(b, hn::LoadU(d, from + i + lanes));
    c = hn::Add(c, hn::LoadU(d, from + i + 2 * lanes));
    e = hn::Add(e, hn::LoadU(d, from + i + 3 * lanes));
  }
  return hn::ReduceSum(d, hn::Add(hn::Add(a, b), hn::Add(c, e)));
}

void ExponentialsImpl(const float* from, std::size_t count, float* to) {
  const hn::ScalableTag<float> d;
  for (std::size_t i = 0; i < count; i += hn::Lanes(d)) hn::StoreU(hn::Exp(d, hn::LoadU(d, from + i)), d, to + i);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attnd::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnd::bench {

HWY_EXPORT(SumImpl);
HWY_EXPORT(ExponentialsImpl);

float Sum(const float* from, std::size_t count) { return HWY_DYNAMIC_DISPATCH(SumImpl)(from, count); }

void Exponentials(const float* from, std::size_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(ExponentialsImpl)(from, count, to);
}

}  // namespace attnd::bench
#endif
