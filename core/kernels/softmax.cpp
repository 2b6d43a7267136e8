#include "core/kernels/softmax.h"

#include <cassert>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/softmax.cpp"
#include <hwy/foreach_target.h>  // compiles what follows once for each instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnd::core::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;  // padded rows are whole vectors of it
using I32 = hn::RebindToSigned<F32>;
using Vec = hn::Vec<F32>;
using Mask = hn::Mask<F32>;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// 2^x for x < 128, to 1.5e-7 relative from −126 on and exactly for whole numbers; below that 0 or a denormal number, as
// the instruction set has it. NaN for NaN. The polynomial is the minimax one of degree 5 in relative error, found with
// Remez' exchange, for 2^f over f in [0, 1], among those that are 1 at 0.
HWY_INLINE Vec Exp2(F32 d, Vec x) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  // These instructions Highway has no names for: x less the whole number below it, and p·2^⌊x⌋.
  const Vec f = Vec{_mm512_reduce_ps(x.raw, _MM_FROUND_TO_NEG_INF)};
#else
  const Vec n = hn::Floor(x);
  const Vec f = hn::Sub(x, n);
#endif
  Vec p = hn::Set(d, 0x1.e974fa598c40cp-10F);
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.2778552bc85ebp-7F));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.c91ce63ccd9a6p-5F));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.ebdb56d89faa9p-3F));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.62e4ba8ec2b14p-1F));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0F));
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  return Vec{_mm512_scalef_ps(p.raw, x.raw)};
#else
  const I32 di;
  const Vec scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::ConvertTo(di, n))));
  // A NaN keeps its payload through the polynomial, but the exponent added to its bits may have made it a number.
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0F)), hn::IfThenElse(hn::IsNaN(x), x, scaled));
#endif
}

// Which lanes of a vector at `column` count; and whether, without a look at each, all from `begin` to before `end` do.
struct AllVisible {
  static constexpr bool kAll = true;
  HWY_INLINE Mask operator()(F32 d, std::int64_t /*column*/) const { return hn::FirstN(d, hn::Lanes(d)); }
  HWY_INLINE bool ShowsAll(std::int64_t /*begin*/, std::int64_t /*end*/) const { return true; }
};

struct IntervalVisible {
  static constexpr bool kAll = false;
  ColumnInterval interval;
  HWY_INLINE bool ShowsAll(std::int64_t begin, std::int64_t end) const {
    return interval.begin <= begin && end <= interval.end;
  }
  HWY_INLINE Mask operator()(F32 d, std::int64_t column) const {
    const I32 di;
    const auto index = hn::Iota(di, static_cast<std::int32_t>(column));
    const auto inside = hn::And(hn::Ge(index, hn::Set(di, static_cast<std::int32_t>(interval.begin))),
                                hn::Lt(index, hn::Set(di, static_cast<std::int32_t>(interval.end))));
    return hn::RebindMask(d, inside);
  }
};

struct MaskVisible {
  static constexpr bool kAll = false;
  IntervalVisible inside;
  const std::uint8_t* mask;
  HWY_INLINE bool ShowsAll(std::int64_t /*begin*/, std::int64_t /*end*/) const { return false; }
  HWY_INLINE Mask operator()(F32 d, std::int64_t column) const {
    const I32 di;
    const hn::Rebind<std::uint8_t, F32> d8;
    const std::int64_t left = inside.interval.end - column;
    const std::size_t count = left > 0 ? static_cast<std::size_t>(left) : 0;
    const auto bytes = hn::LoadN(d8, mask + column, HWY_MIN(count, hn::Lanes(d)));
    const auto set = hn::Ne(hn::PromoteTo(di, bytes), hn::Zero(di));
    return hn::And(inside(d, column), hn::RebindMask(d, set));
  }
};

HWY_INLINE Vec LoadConverted(F32 d, const float* from) { return hn::LoadU(d, from); }
template <typename Half>
HWY_INLINE Vec LoadConverted(F32 d, const Half* from) {
  const hn::Rebind<Half, F32> d16;
  return hn::PromoteTo(d, hn::LoadU(d16, from));
}
// Where the target has no such conversion (F16C), Highway's own makes numbers from 2^16 on of infinities and NaN, which
// no finite float16 is: their exponent is put right.
HWY_INLINE Vec LoadConverted(F32 d, const hwy::float16_t* from) {
  const hn::Rebind<hwy::float16_t, F32> d16;
  const Vec v = hn::PromoteTo(d, hn::LoadU(d16, from));
#if HWY_ARCH_X86 && HWY_TARGET > HWY_AVX2  // Highway's older targets are the larger numbers
  const Vec infinity = hn::Set(d, std::numeric_limits<float>::infinity());
  return hn::IfThenElse(hn::Lt(hn::Abs(v), hn::Set(d, 65536.0F)), v, hn::Or(v, infinity));
#else
  return v;
#endif
}
HWY_INLINE void StoreConverted(F32 d, Vec v, float* to) { hn::StoreU(v, d, to); }
template <typename Half>
HWY_INLINE void StoreConverted(F32 /*d*/, Vec v, Half* to) {
  const hn::Rebind<Half, F32> d16;
  hn::StoreU(hn::DemoteTo(d16, v), d16, to);
}

struct MaxOf {
  HWY_INLINE Vec operator()(Vec a, Vec b) const { return hn::Max(a, b); }
};

struct SumOf {
  HWY_INLINE Vec operator()(Vec a, Vec b) const { return hn::Add(a, b); }
};

// Combines of(visible, column) for each vector of columns. One chain of dependent operations would leave the machine
// waiting, so there are four; which one a column belongs to does not depend on the first column, a multiple of
// kPanelColumns.
template <typename Visible, typename Combine, typename Of>
HWY_INLINE Vec Reduce(std::int64_t first_column, std::int64_t columns, Visible visible, Vec start, Combine combine,
                      Of of) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(F32()));
  Vec r0 = start;
  Vec r1 = start;
  Vec r2 = start;
  Vec r3 = start;
  const auto combine_four = [&](auto some_visible, std::int64_t c) HWY_ATTR {
    r0 = combine(r0, of(some_visible, c));
    r1 = combine(r1, of(some_visible, c + lanes));
    r2 = combine(r2, of(some_visible, c + 2 * lanes));
    r3 = combine(r3, of(some_visible, c + 3 * lanes));
  };
  std::int64_t c = first_column;
  for (; c + 4 * lanes <= columns; c += 4 * lanes) {
    if (visible.ShowsAll(c, c + 4 * lanes)) {
      combine_four(AllVisible{}, c);
    } else {
      combine_four(visible, c);
    }
  }
  if (c < columns) r0 = combine(r0, of(visible, c));
  if (c + lanes < columns) r1 = combine(r1, of(visible, c + lanes));
  if (c + 2 * lanes < columns) r2 = combine(r2, of(visible, c + 2 * lanes));
  return combine(combine(r0, r1), combine(r2, r3));
}

// A row's largest visible score, scaled; −∞ where none is visible, and `seen` tells whether one is.
template <typename Visible>
HWY_INLINE float FindMaximum(const SoftmaxTile& tile, std::int64_t row, Visible visible, std::uint8_t& seen) {
  const F32 d;
  const float* scores = tile.scores + row * tile.stride;
  const Vec scale = hn::Set(d, tile.scale_log2e);
  const Vec hidden = hn::Set(d, kMinusInfinity);
  Mask any = hn::FirstN(d, 0);
  const auto score_of = [&](auto some_visible, std::int64_t c) HWY_ATTR {
    const Vec x = hn::Mul(hn::LoadU(d, scores + c), scale);
    const Mask counts = some_visible(d, c);
    any = hn::Or(any, counts);
    return some_visible.kAll ? x : hn::IfThenElse(counts, x, hidden);
  };
  const Vec maxima = Reduce(tile.first_column, tile.columns, visible, hidden, MaxOf(), score_of);
  if (Visible::kAll || !hn::AllFalse(d, any)) seen = 1;
  return hn::ReduceMax(d, maxima);
}

// Writes a row's weights; returns their sum. The columns are worked through in whole vectors from the tile's first
// column, and hidden ones add an exact zero, so a sum's bits do not depend on where the visible interval lies or on how
// wide the tile is padded.
template <typename Weight, typename Visible>
HWY_INLINE float FindWeights(const SoftmaxTile& tile, std::int64_t row, Visible visible, float reference) {
  const F32 d;
  const float* scores = tile.scores + row * tile.stride;
  Weight* weights = static_cast<Weight*>(tile.weights) + row * tile.stride;
  const Vec scale = hn::Set(d, tile.scale_log2e);
  const Vec references = hn::Set(d, reference);
  const auto weight_of = [&](auto some_visible, std::int64_t c) HWY_ATTR {
    Vec w = Exp2(d, hn::MulSub(hn::LoadU(d, scores + c), scale, references));
    if constexpr (!some_visible.kAll) w = hn::IfThenElseZero(some_visible(d, c), w);
    StoreConverted(d, w, weights + c);
    return w;
  };
  return hn::ReduceSum(d, Reduce(tile.first_column, tile.columns, visible, hn::Zero(d), SumOf(), weight_of));
}

// use(visible), with what is visible of a row.
template <typename Use>
HWY_INLINE void WithVisible(const SoftmaxTile& tile, std::int64_t row, Use use) {
  const IntervalVisible inside{tile.visible[row]};
  if (tile.mask != nullptr) {
    use(MaskVisible{inside, tile.mask + row * tile.mask_row_stride});
  } else if (inside.interval.begin <= tile.first_column && inside.interval.end == tile.columns) {
    use(AllVisible{});
  } else {
    use(inside);
  }
}

// Rows go through each step together: a row's steps wait for each other, those of different rows do not. The scores of
// so many rows, 32 KiB of a tile with 512 keys, stay near from one step to the next. Half as many are 1 % slower.
constexpr std::int64_t kRowsAtOnce = 16;

struct References {
  HWY_ALIGN float of_row[kRowsAtOnce];
};

// Takes the rows' new maxima into their running ones; returns what their weights are relative to.
HWY_INLINE References RaiseMaxima(const SoftmaxTile& tile, std::int64_t first_row, std::int64_t rows,
                                  const float* new_maxima) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  References references;
  for (std::int64_t i = 0; i < rows; i += lanes) {
    const auto n = static_cast<std::size_t>(HWY_MIN(lanes, rows - i));
    const Vec before = hn::LoadN(d, tile.maximum + first_row + i, n);
    const Vec maximum = hn::Max(before, hn::Load(d, new_maxima + i));
    // While every score that counted is −∞, any finite reference gives the weights 0 that they have beside a finite
    // score.
    const Vec reference = hn::IfThenZeroElse(hn::Eq(maximum, hn::Set(d, kMinusInfinity)), maximum);
    const Vec factor = Exp2(d, hn::Sub(before, reference));
    hn::StoreN(maximum, d, tile.maximum + first_row + i, n);
    hn::StoreN(factor, d, tile.factor + first_row + i, n);
    hn::Store(reference, d, references.of_row + i);
  }
  return references;
}

template <typename Weight>
void UpdateTile(const SoftmaxTile& tile) {
  HWY_ALIGN float maxima[kRowsAtOnce] = {};
  for (std::int64_t first_row = 0; first_row < tile.rows; first_row += kRowsAtOnce) {
    const std::int64_t rows = HWY_MIN(kRowsAtOnce, tile.rows - first_row);
    for (std::int64_t i = 0; i < rows; ++i) {
      WithVisible(tile, first_row + i, [&](auto visible) HWY_ATTR {
        maxima[i] = FindMaximum(tile, first_row + i, visible, tile.seen[first_row + i]);
      });
    }
    const References references = RaiseMaxima(tile, first_row, rows, maxima);
    for (std::int64_t i = 0; i < rows; ++i) {
      float& sum = tile.sum[first_row + i];
      WithVisible(tile, first_row + i, [&](auto visible) HWY_ATTR {
        sum =
            sum * tile.factor[first_row + i] + FindWeights<Weight>(tile, first_row + i, visible, references.of_row[i]);
      });
    }
  }
}

// use(element) with an element of the type, whose value does not matter.
template <typename Use>
void WithElementOf(ElementType type, Use use) {
  switch (type) {
    case ElementType::kFloat32:
      return use(float());
    case ElementType::kBfloat16:
      return use(hwy::bfloat16_t());
    case ElementType::kFloat16:
      return use(hwy::float16_t());
    case ElementType::kInt32:
    case ElementType::kBool:
      break;
  }
  assert(false);
}

void UpdateSoftmaxImpl(const SoftmaxTile& tile) {
  WithElementOf(tile.weights_type, [&](auto element) HWY_ATTR { UpdateTile<decltype(element)>(tile); });
}

void ScaleRowsImpl(float* matrix, std::int64_t rows, std::int64_t columns, const float* factor) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t r = 0; r < rows; ++r) {
    if (factor[r] == 1.0F) continue;  // multiplying by 1 changes no bits
    const Vec f = hn::Set(d, factor[r]);
    float* row = matrix + r * columns;
    for (std::int64_t c = 0; c < columns; c += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, row + c), f), d, row + c);
  }
}

// to[i] = change(from[i]), converting. The last elements go through whole vectors as well, in memory of our own.
template <typename From, typename To, typename Change>
HWY_INLINE void ForEach(const From* from, std::int64_t count, To* to, Change change) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) StoreConverted(d, change(d, LoadConverted(d, from + i)), to + i);
  if (i == count) return;
  From last_from[hn::MaxLanes(F32())] = {};
  To last_to[hn::MaxLanes(F32())];
  std::memcpy(last_from, from + i, static_cast<std::size_t>(count - i) * sizeof(From));
  StoreConverted(d, change(d, LoadConverted(d, last_from)), last_to);
  std::memcpy(to + i, last_to, static_cast<std::size_t>(count - i) * sizeof(To));
}

struct Same {
  HWY_INLINE Vec operator()(F32 /*d*/, Vec v) const { return v; }
};

struct DivideBy {
  float divisor;
  HWY_INLINE Vec operator()(F32 d, Vec v) const { return hn::Div(v, hn::Set(d, divisor)); }
};

struct MultiplyBy {
  float factor;
  HWY_INLINE Vec operator()(F32 d, Vec v) const { return hn::Mul(v, hn::Set(d, factor)); }
};

void DivideRowImpl(const float* from, std::int64_t columns, float divisor, float* to) {
  ForEach(from, columns, to, DivideBy{divisor});
}

void DivideRowsImpl(const FloatMatrix& matrix, const float* divisors, ElementType type, void* to,
                    std::int64_t to_stride_bytes) {
  WithElementOf(type, [&](auto element) HWY_ATTR {
    for (std::int64_t r = 0; r < matrix.rows; ++r) {
      ForEach(matrix.numbers + r * matrix.stride, matrix.columns,
              reinterpret_cast<decltype(element)*>(static_cast<std::byte*>(to) + r * to_stride_bytes),
              DivideBy{divisors[r]});
    }
  });
}

void ScaleImpl(ElementType type, void* values, std::int64_t count, float factor) {
  WithElementOf(type, [&](auto element) HWY_ATTR {
    auto* typed = static_cast<decltype(element)*>(values);
    ForEach(typed, count, typed, MultiplyBy{factor});
  });
}

void ToFloat32Impl(ElementType type, const void* from, std::int64_t count, float* to) {
  WithElementOf(
      type, [&](auto element) HWY_ATTR { ForEach(static_cast<const decltype(element)*>(from), count, to, Same{}); });
}

void FromFloat32Impl(const float* from, std::int64_t count, ElementType type, void* to) {
  WithElementOf(type,
                [&](auto element) HWY_ATTR { ForEach(from, count, static_cast<decltype(element)*>(to), Same{}); });
}

template <typename Visible>
HWY_INLINE void RowToWeights(float* row, std::int64_t columns, float scale_log2e, float maximum, float sum,
                             Visible visible) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const Vec scale = hn::Set(d, scale_log2e);
  const Vec references = hn::Set(d, maximum == kMinusInfinity ? 0.0F : maximum);
  const Vec divisor = hn::Set(d, sum);
  for (std::int64_t c = 0; c < columns; c += lanes) {
    const auto n = static_cast<std::size_t>(HWY_MIN(lanes, columns - c));
    const Vec scores = hn::LoadN(d, row + c, n);
    const Vec w = hn::Div(Exp2(d, hn::MulSub(scores, scale, references)), divisor);
    hn::StoreN(hn::IfThenElseZero(visible(d, c), w), d, row + c, n);
  }
}

void ScoresToWeightsImpl(float* row, std::int64_t columns, ColumnInterval visible, const std::uint8_t* mask,
                         float scale_log2e, float maximum, float sum) {
  const IntervalVisible inside{visible};
  if (mask != nullptr) {
    RowToWeights(row, columns, scale_log2e, maximum, sum, MaskVisible{inside, mask});
  } else {
    RowToWeights(row, columns, scale_log2e, maximum, sum, inside);
  }
}

const char* VectorInstructionSetNameImpl() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attnd::core::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnd::core::kernels {

HWY_EXPORT(UpdateSoftmaxImpl);
HWY_EXPORT(ScaleRowsImpl);
HWY_EXPORT(DivideRowsImpl);
HWY_EXPORT(DivideRowImpl);
HWY_EXPORT(ScoresToWeightsImpl);
HWY_EXPORT(ToFloat32Impl);
HWY_EXPORT(FromFloat32Impl);
HWY_EXPORT(ScaleImpl);
HWY_EXPORT(VectorInstructionSetNameImpl);

void UpdateSoftmax(const SoftmaxTile& tile) { HWY_DYNAMIC_DISPATCH(UpdateSoftmaxImpl)(tile); }

void ScaleRows(float* matrix, std::int64_t rows, std::int64_t columns, const float* factor) {
  HWY_DYNAMIC_DISPATCH(ScaleRowsImpl)(matrix, rows, columns, factor);
}

void DivideRows(const FloatMatrix& matrix, const float* divisors, ElementType type, void* to,
                std::int64_t to_stride_bytes) {
  HWY_DYNAMIC_DISPATCH(DivideRowsImpl)(matrix, divisors, type, to, to_stride_bytes);
}

void DivideRow(const float* from, std::int64_t columns, float divisor, float* to) {
  HWY_DYNAMIC_DISPATCH(DivideRowImpl)(from, columns, divisor, to);
}

void ScoresToWeights(float* row, std::int64_t columns, ColumnInterval visible, const std::uint8_t* mask,
                     float scale_log2e, float maximum, float sum) {
  HWY_DYNAMIC_DISPATCH(ScoresToWeightsImpl)(row, columns, visible, mask, scale_log2e, maximum, sum);
}

void ToFloat32(ElementType type, const void* from, std::int64_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(ToFloat32Impl)(type, from, count, to);
}

void FromFloat32(const float* from, std::int64_t count, ElementType type, void* to) {
  HWY_DYNAMIC_DISPATCH(FromFloat32Impl)(from, count, type, to);
}

void Scale(ElementType type, void* values, std::int64_t count, float factor) {
  HWY_DYNAMIC_DISPATCH(ScaleImpl)(type, values, count, factor);
}

const char* VectorInstructionSetName() { return HWY_DYNAMIC_DISPATCH(VectorInstructionSetNameImpl)(); }

}  // namespace attnd::core::kernels
#endif
