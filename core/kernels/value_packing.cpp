#include "core/kernels/value_packing.h"

#include <cassert>
#include <cstring>

#include "core/kernels/products.h"
#include "core/kernels/read_ahead.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/value_packing.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // compiles what follows once for each instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnd::core::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// What the exponent bits of a type say.
template <typename Bits>
struct ExponentBits {
  Bits all_ones;  // of what is not finite
  Bits large;     // from here on a value is large
};

// kLargeValue's exponent bits. No float16 is so large.
constexpr std::uint32_t kLargeBits = (96U + 127U) << 23;
constexpr ExponentBits<std::uint32_t> kFloat32Bits{.all_ones = 0x7F800000U, .large = kLargeBits};
constexpr ExponentBits<std::uint16_t> kBfloat16Bits{.all_ones = 0x7F80U, .large = kLargeBits >> 16};
constexpr ExponentBits<std::uint16_t> kFloat16Bits{.all_ones = 0x7C00U, .large = 0x7C00U};

template <typename Bits>
ValueKinds ReplaceNonFiniteBits(Bits* values, std::int64_t count, ExponentBits<Bits> exponent) {
  const hn::ScalableTag<Bits> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  ValueKinds kinds;
  for (std::int64_t i = 0; i < count; i += lanes) {
    const auto n = static_cast<std::size_t>(HWY_MIN(lanes, count - i));
    const auto bits = hn::LoadN(d, values + i, n);
    const auto exponents = hn::And(bits, hn::Set(d, exponent.all_ones));
    const auto unusual = hn::Ge(exponents, hn::Set(d, exponent.large));
    if (hn::AllFalse(d, unusual)) continue;
    const auto bad = hn::Eq(exponents, hn::Set(d, exponent.all_ones));
    kinds.large = kinds.large || !hn::AllFalse(d, hn::AndNot(bad, unusual));
    if (hn::AllFalse(d, bad)) continue;
    kinds.non_finite = true;
    hn::StoreN(hn::IfThenZeroElse(bad, bits), d, values + i, n);
  }
  return kinds;
}

ValueKinds ReplaceNonFiniteImpl(ElementType type, void* values, std::int64_t count) {
  switch (type) {
    case ElementType::kFloat32:
      return ReplaceNonFiniteBits(static_cast<std::uint32_t*>(values), count, kFloat32Bits);
    case ElementType::kBfloat16:
      return ReplaceNonFiniteBits(static_cast<std::uint16_t*>(values), count, kBfloat16Bits);
    case ElementType::kFloat16:
      return ReplaceNonFiniteBits(static_cast<std::uint16_t*>(values), count, kFloat16Bits);
    case ElementType::kInt32:
    case ElementType::kBool:
      break;
  }
  assert(false);
  return {};
}

template <class D>
HWY_INLINE hn::Vec<D> LoadAtMost(D d, const hn::TFromD<D>* from, std::int64_t count) {
  if (count >= static_cast<std::int64_t>(hn::Lanes(d))) return hn::LoadU(d, from);
  return count > 0 ? hn::LoadN(d, from, static_cast<std::size_t>(count)) : hn::Zero(d);
}

// Elements of a plain matrix; beyond it they are 0.
template <typename Element>
class Plain {
 public:
  explicit Plain(const PlainRows& rows)
      : rows_(rows), rows_ahead_(kReadAheadBytes / HWY_MAX(rows.row_size_bytes, std::int64_t{1}) + 1) {}

  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, std::int64_t row, std::int64_t column) const {
    if (row >= rows_.rows) return hn::Zero(d);
    return LoadAtMost(d, Row(row) + column, rows_.columns - column);
  }

  // Asks for a row that will be read.
  HWY_INLINE void ReadAhead(std::int64_t row) const {
    if (row + rows_ahead_ >= rows_.rows) return;
    const auto* const ahead = reinterpret_cast<const std::byte*>(Row(row + rows_ahead_));
    const auto size_bytes = rows_.columns * static_cast<std::int64_t>(sizeof(Element));
    for (std::int64_t i = 0; i < size_bytes; i += kLineBytes) hwy::Prefetch(ahead + i);
  }

 private:
  const Element* Row(std::int64_t row) const {
    return reinterpret_cast<const Element*>(static_cast<const std::byte*>(rows_.first) + row * rows_.row_size_bytes);
  }

  const PlainRows rows_;
  const std::int64_t rows_ahead_;
};

// Rows as they are packed: one after the other.
template <typename Element>
struct SingleRows {
  using Packed = Element;
  static constexpr std::int64_t kRowsTogether = 1;
  Plain<Element> plain;

  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, std::int64_t row, std::int64_t column) const {
    return plain.Load(d, row, column);
  }
};

// Two rows together, the first one's elements in the lower halves.
struct RowPairs {
  using Packed = std::uint32_t;
  static constexpr std::int64_t kRowsTogether = 2;
  Plain<std::uint16_t> plain;

  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, std::int64_t row, std::int64_t column) const {
    const hn::Rebind<std::uint16_t, D> half;
    const auto lower = hn::PromoteTo(d, plain.Load(half, row, column));
    const auto upper = hn::PromoteTo(d, plain.Load(half, row + 1, column));
    return hn::Or(lower, hn::ShiftLeft<16>(upper));
  }
};

// Tells whether some of the values are not finite, or large.
template <typename Bits, class Rows>
HWY_INLINE bool PackRows(const Rows& rows, std::int64_t padded_rows, std::int64_t padded_columns,
                         ExponentBits<Bits> exponent, void* packed) {
  using Packed = typename Rows::Packed;
  const hn::CappedTag<Packed, kPaddedElements> d;
  const hn::Repartition<Bits, decltype(d)> bits;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto all_ones = hn::Set(bits, exponent.all_ones);
  auto largest = hn::Zero(bits);
  for (std::int64_t row = 0; row < padded_rows; row += Rows::kRowsTogether) {
    for (std::int64_t i = 0; i < Rows::kRowsTogether; ++i) rows.plain.ReadAhead(row + i);
    for (std::int64_t first = 0; first < padded_columns; first += kPanelColumns) {
      const std::int64_t width = HWY_MIN(kPanelColumns, padded_columns - first);
      Packed* to = static_cast<Packed*>(packed) + (first * padded_rows + row * width) / Rows::kRowsTogether;
      for (std::int64_t column = 0; column < width; column += lanes) {
        const auto elements = rows.Load(d, row, first + column);
        largest = hn::Max(largest, hn::And(hn::BitCast(bits, elements), all_ones));
        hn::StoreU(elements, d, to + column);
      }
    }
  }
  return !hn::AllFalse(bits, hn::Ge(largest, hn::Set(bits, exponent.large)));
}

bool PackHalf(ValueLayout layout, const PlainRows& values, std::int64_t padded_rows, std::int64_t padded_columns,
              ExponentBits<std::uint16_t> exponent, void* packed) {
  const Plain<std::uint16_t> plain(values);
  if (layout == ValueLayout::kRowPairs) {
    return PackRows(RowPairs{plain}, padded_rows, padded_columns, exponent, packed);
  }
  return PackRows(SingleRows<std::uint16_t>{plain}, padded_rows, padded_columns, exponent, packed);
}

bool PackValuesImpl(ElementType type, ValueLayout layout, const PlainRows& values, std::int64_t padded_rows,
                    std::int64_t padded_columns, void* packed) {
  if (type != ElementType::kFloat32) {
    return PackHalf(layout, values, padded_rows, padded_columns,
                    type == ElementType::kBfloat16 ? kBfloat16Bits : kFloat16Bits, packed);
  }
  const SingleRows<std::uint32_t> rows{Plain<std::uint32_t>(values)};
  return PackRows(rows, padded_rows, padded_columns, kFloat32Bits, packed);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attnd::core::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnd::core::kernels {

HWY_EXPORT(ReplaceNonFiniteImpl);
HWY_EXPORT(PackValuesImpl);

ValueKinds PackValues(ElementType type, ValueLayout layout, const PlainRows& values, std::int64_t padded_rows,
                      std::int64_t padded_columns, void* packed) {
  const bool has_unusual =
      HWY_DYNAMIC_DISPATCH(PackValuesImpl)(type, layout, values, padded_rows, padded_columns, packed);
  return has_unusual ? ReplaceNonFinite(type, packed, padded_rows * padded_columns) : ValueKinds{};
}

ValueKinds ReplaceNonFinite(ElementType type, void* values, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(ReplaceNonFiniteImpl)(type, values, count);
}

}  // namespace attnd::core::kernels
#endif
