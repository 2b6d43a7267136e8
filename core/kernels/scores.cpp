#include "core/kernels/scores.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/scores.cpp"
// clang-format off: foreach_target.h compiles what follows it once for each instruction set
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace attnd::core::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;  // strides are whole vectors of it
using Vec = hn::Vec<F32>;

// c·tanh(x / c). Highway's tanh is good to 4 units in the last place; a NaN stays one.
HWY_INLINE Vec SoftCap(F32 d, Vec x, float soft_cap) {
  const Vec y = hn::Div(x, hn::Set(d, soft_cap));
  const Vec capped = hn::Mul(hn::Tanh(d, y), hn::Set(d, soft_cap));
  return hn::IfThenElse(hn::IsNaN(x), x, capped);
}

void ChangeScoresImpl(const ScoreTile& tile) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const Vec scale = hn::Set(d, tile.scale);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    for (std::int64_t c = 0; c < tile.columns; c += lanes) {
      const std::int64_t element = r * tile.stride + c;
      Vec x = hn::Mul(hn::LoadU(d, tile.scores + element), scale);
      if (tile.added_before != nullptr) x = hn::Add(x, hn::LoadU(d, tile.added_before + element));
      if (tile.soft_cap != 0) x = SoftCap(d, x, tile.soft_cap);
      if (tile.added_after != nullptr) x = hn::Add(x, hn::LoadU(d, tile.added_after + element));
      hn::StoreU(x, d, tile.scores + element);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attnd::core::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnd::core::kernels {

HWY_EXPORT(ChangeScoresImpl);

void ChangeScores(const ScoreTile& tile) { HWY_DYNAMIC_DISPATCH(ChangeScoresImpl)(tile); }

}  // namespace attnd::core::kernels
#endif
