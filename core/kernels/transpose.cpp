#include "core/kernels/transpose.h"

#include <cstddef>

#include "core/kernels/read_ahead.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/transpose.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // compiles what follows once for each instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnd::core::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// A block is 4 elements.
constexpr std::int64_t kBlock = 4;
constexpr std::int64_t kLineElements = kLineBytes / sizeof(float);

// Blocks of rows r, r + 4, r + 8 … as the blocks of one vector, from a first row on.
template <class D>
HWY_INLINE hn::Vec<D> LoadBlocks(D d, const std::byte* from, std::int64_t row_size_bytes) {
  if constexpr (hn::MaxLanes(D()) == kBlock) {
    return hn::LoadU(d, reinterpret_cast<const float*>(from));
  } else {
    const hn::Half<D> half;
    const auto rows = static_cast<std::int64_t>(hn::MaxLanes(half));
    return hn::Combine(d, LoadBlocks(half, from + rows * row_size_bytes, row_size_bytes),
                       LoadBlocks(half, from, row_size_bytes));
  }
}

// Four columns of as many rows as a vector has lanes: in each block, rows and columns change places.
template <class D>
HWY_INLINE void TransposeColumns(D d, const std::byte* from, std::int64_t row_size_bytes, float* to,
                                 std::int64_t rows) {
  const hn::RepartitionToWide<D> pairs;
  const auto r0 = LoadBlocks(d, from, row_size_bytes);
  const auto r1 = LoadBlocks(d, from + row_size_bytes, row_size_bytes);
  const auto r2 = LoadBlocks(d, from + 2 * row_size_bytes, row_size_bytes);
  const auto r3 = LoadBlocks(d, from + 3 * row_size_bytes, row_size_bytes);
  const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1));
  const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3));
  const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1));
  const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, to + rows);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, to + 2 * rows);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, to + 3 * rows);
}

// Asks memory for a line of each of some rows.
HWY_INLINE void ReadAhead(const std::byte* from, std::int64_t row_size_bytes, std::int64_t rows) {
  for (std::int64_t row = 0; row < rows; ++row) hwy::Prefetch(from + row * row_size_bytes);
}

void TransposeImpl(const void* from, std::int64_t rows, std::int64_t columns, std::int64_t row_size_bytes, void* to) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t row = 0; row < rows; row += lanes) {
    const std::byte* const first = static_cast<const std::byte*>(from) + row * row_size_bytes;
    for (std::int64_t column = 0; column < columns; column += kBlock) {
      const std::byte* const block = first + column * static_cast<std::int64_t>(sizeof(float));
      // Each line of the next rows, which are read soon.
      if (column % kLineElements == 0) ReadAhead(block + lanes * row_size_bytes, row_size_bytes, lanes);
      TransposeColumns(d, block, row_size_bytes, static_cast<float*>(to) + column * rows + row, rows);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attnd::core::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnd::core::kernels {

HWY_EXPORT(TransposeImpl);

void Transpose(const void* from, std::int64_t rows, std::int64_t columns, std::int64_t row_size_bytes, void* to) {
  HWY_DYNAMIC_DISPATCH(TransposeImpl)(from, rows, columns, row_size_bytes, to);
}

}  // namespace attnd::core::kernels
#endif
