// Values as the second product takes them: packed into panels, and finite. Highway code, dispatched at run time. All
// functions are thread-safe and work on plain memory.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace attnd::core::kernels {

// How the elements of a panel lie.
enum class ValueLayout : std::uint8_t {
  kRows,      // row after row
  kRowPairs,  // two rows of half elements after two rows, those of a column side by side (dnnl's pack32)
};

// Rows of a plain matrix, which begin `row_size_bytes` after each other.
struct PlainRows {
  const void* first = nullptr;
  std::int64_t row_size_bytes = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

// Of kLargeValue and beyond in magnitude, so many values may add up to more than float32 holds: even 2^32 of those
// below it do not.
inline constexpr float kLargeValue = 0x1p+96F;

struct ValueKinds {
  bool non_finite = false;
  bool large = false;  // finite, and at least kLargeValue in magnitude
};

// Packs values as panels of `padded_rows` rows that have `padded_columns` columns together, filled up with zeros; both
// are multiples of kPaddedElements. NaN and infinities become 0. Tells what there was.
ValueKinds PackValues(ElementType type, ValueLayout layout, const PlainRows& values, std::int64_t padded_rows,
                      std::int64_t padded_columns, void* packed);

// Replaces NaN and infinities by 0; tells what there was.
ValueKinds ReplaceNonFinite(ElementType type, void* values, std::int64_t count);

}  // namespace attnd::core::kernels
