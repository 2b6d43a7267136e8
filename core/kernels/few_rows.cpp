#include "core/kernels/few_rows.h"

#include <cassert>

#include "core/kernels/read_ahead.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/few_rows.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // compiles what follows once for each instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnd::core::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using Vec = hn::Vec<F32>;

constexpr std::int64_t kLanes = 16;
constexpr bool kHasWideVectors = hn::MaxLanes(F32()) == kLanes;
constexpr bool kHasPairProducts = kHasWideVectors && HWY_NATIVE_DOT_BF16;

// Rows of A and B as they are multiplied: single float32 elements of the inner dimension …
struct SingleElements {
  [[maybe_unused]] static constexpr std::int64_t kInnerTogether = 1;
  static HWY_INLINE Vec MultiplyAdd(Vec a, Vec b, Vec sum) { return hn::MulAdd(a, b, sum); }
};

// … or pairs of bfloat16 ones, which are as wide.
struct ElementPairs {
  [[maybe_unused]] static constexpr std::int64_t kInnerTogether = 2;
  static HWY_INLINE Vec MultiplyAdd(Vec a, Vec b, Vec sum) {
    const hn::Repartition<hwy::bfloat16_t, F32> pairs;
    Vec unused = hn::Zero(F32());
    return hn::ReorderWidenMulAccumulate(F32(), hn::BitCast(pairs, a), hn::BitCast(pairs, b), sum, unused);
  }
};

// `Vectors` vectors of columns. Elements, or pairs of them, are taken for floats until they are multiplied. Loops over
// rows and vectors are unrolled by name: left to itself, the compiler keeps the sums in memory.
template <class Elements, std::int64_t Rows, std::int64_t Vectors>
HWY_INLINE void MultiplyPanel(const ProductShape& shape, const float* a, const float* b, float* c) {
  const F32 d;
  const std::int64_t inner = shape.inner / Elements::kInnerTogether;
  const std::int64_t a_stride = shape.a_stride / Elements::kInnerTogether;
  Vec sums[Rows][Vectors];
#pragma GCC unroll 4
  for (auto& row : sums) {
#pragma GCC unroll 4
    for (Vec& sum : row) sum = hn::Zero(d);
  }
  for (std::int64_t k = 0; k < inner; ++k, b += shape.panel_columns) {
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < Vectors; ++j) {
      const Vec columns = hn::LoadU(d, b + j * kLanes);
      hwy::Prefetch(reinterpret_cast<const char*>(b + j * kLanes) + kReadAheadBytes);
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < Rows; ++i) {
        sums[i][j] = Elements::MultiplyAdd(hn::Set(d, a[i * a_stride + k]), columns, sums[i][j]);
      }
    }
  }
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < Vectors; ++j) {
      float* const to = c + i * shape.c_stride + j * kLanes;
      hn::StoreU(shape.accumulate ? hn::Add(sums[i][j], hn::LoadU(d, to)) : sums[i][j], d, to);
    }
  }
}

template <class Elements, std::int64_t Rows>
void MultiplyColumns(const ProductShape& shape, const float* a, const float* b, float* c) {
  switch (shape.columns / kLanes) {
    case 1:
      return MultiplyPanel<Elements, Rows, 1>(shape, a, b, c);
    case 2:
      return MultiplyPanel<Elements, Rows, 2>(shape, a, b, c);
    case 3:
      return MultiplyPanel<Elements, Rows, 3>(shape, a, b, c);
    default:
      return MultiplyPanel<Elements, Rows, 4>(shape, a, b, c);
  }
}

template <class Elements>
void Multiply(const ProductShape& shape, const float* a, const float* b, float* c) {
  if (shape.rows == 1) return MultiplyColumns<Elements, 1>(shape, a, b, c);
  assert(shape.rows == kFewRows);
  MultiplyColumns<Elements, kFewRows>(shape, a, b, c);
}

bool HasImpl(ElementType operand_type) {
  return operand_type == ElementType::kFloat32 ? kHasWideVectors
                                               : operand_type == ElementType::kBfloat16 && kHasPairProducts;
}

void MultiplyImpl(ElementType operand_type, const ProductShape& shape, const void* a, const void* b, float* c) {
  assert(HasImpl(operand_type));
  const auto* const a_floats = static_cast<const float*>(a);
  const auto* const b_floats = static_cast<const float*>(b);
  if constexpr (kHasWideVectors) {
    if (operand_type == ElementType::kFloat32) return Multiply<SingleElements>(shape, a_floats, b_floats, c);
  }
  if constexpr (kHasPairProducts) {
    Multiply<ElementPairs>(shape, a_floats, b_floats, c);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attnd::core::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnd::core::kernels {

HWY_EXPORT(HasImpl);
HWY_EXPORT(MultiplyImpl);

bool HasFewRowsProduct(ElementType operand_type) { return HWY_DYNAMIC_DISPATCH(HasImpl)(operand_type); }

void MultiplyFewRows(ElementType operand_type, const ProductShape& shape, const void* a, const void* b, float* c) {
  HWY_DYNAMIC_DISPATCH(MultiplyImpl)(operand_type, shape, a, b, c);
}

}  // namespace attnd::core::kernels
#endif
