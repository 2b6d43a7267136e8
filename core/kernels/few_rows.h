// Products of few rows, as in decoding: bound by reading B, which they ask memory for ahead. Highway code, dispatched
// at run time, for vectors of 16 floats: in narrower ones a panel's sums would not stay in registers.
#pragma once

#include <cstdint>

#include "core/kernels/products.h"

namespace attnd::core::kernels {

// The most rows.
inline constexpr std::int64_t kFewRows = 4;

// Whether there is one for the type, of 1 and of kFewRows rows: for float32, its panels row by row, and for bfloat16,
// its panels in pairs of rows.
bool HasFewRowsProduct(ElementType operand_type);

// The product with one panel. Each element of C is added up in the order of the inner dimension, of bfloat16 pair by
// pair, and what was in C comes last. Thread-safe.
void MultiplyFewRows(ElementType operand_type, const ProductShape& shape, const void* a, const void* b, float* c);

}  // namespace attnd::core::kernels
