// Transposes matrices of 32-bit elements. Highway code, dispatched at run time. Thread-safe, on plain memory.
#pragma once

#include <cstdint>

namespace attnd::core::kernels {

// to[c·rows + r] = from's row r, column c. The rows of `from` begin `row_size_bytes` after each other; `to` is dense.
// Both numbers are multiples of 16.
void Transpose(const void* from, std::int64_t rows, std::int64_t columns, std::int64_t row_size_bytes, void* to);

}  // namespace attnd::core::kernels
