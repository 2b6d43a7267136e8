// What lies between the two products: the running maximum and sum of a softmax, its exponentials, and conversions of
// rows. Highway code, dispatched at run time. All functions are thread-safe and work on plain memory.
//
// The running softmax is that of "Online normalizer calculation for softmax" (Milakov and Gimelshein, arXiv
// 1805.02867), in powers of two: x = score·scale·log2(e), weight = 2^(x − maximum). A hidden score is selected away,
// never multiplied by zero.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace attnd::core::kernels {

// Columns [begin, end) of a row; those outside are hidden.
struct ColumnInterval {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// One tile of scores, `stride` elements from a row to the next.
struct SoftmaxTile {
  std::int64_t rows = 0;
  // Those from `first_column` to before `columns`; the others are hidden. Both are padded.
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;
  const float* scores = nullptr;
  float scale_log2e = 0;

  // Which scores count: those in the row's interval whose byte in the mask, where there is one, is not 0.
  const ColumnInterval* visible = nullptr;  // one a row
  const std::uint8_t* mask = nullptr;       // may be null; interval ends are within it
  std::int64_t mask_row_stride = 0;

  // Out: weights relative to the new maximum, 0 where hidden, of these columns; may be the scores themselves when
  // float32.
  void* weights = nullptr;
  ElementType weights_type = ElementType::kFloat32;

  // In and out, one a row. maximum starts at −∞ and sum at 0; seen becomes 1 when a score of the row counted.
  float* maximum = nullptr;
  float* sum = nullptr;
  std::uint8_t* seen = nullptr;
  // Out, one a row: what the row's earlier weighted sums must be multiplied with.
  float* factor = nullptr;
};

void UpdateSoftmax(const SoftmaxTile& tile);

// row[c] *= factor[r] for a dense rows × columns matrix; columns is a multiple of 16.
void ScaleRows(float* matrix, std::int64_t rows, std::int64_t columns, const float* factor);

struct FloatMatrix {
  const float* numbers = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;  // from a row to the next
};

// to[r][c] = matrix[r][c] / divisors[r], as `type`, in rows that begin `to_stride_bytes` after each other.
void DivideRows(const FloatMatrix& matrix, const float* divisors, ElementType type, void* to,
                std::int64_t to_stride_bytes);

// to[c] = from[c] / divisor.
void DivideRow(const float* from, std::int64_t columns, float divisor, float* to);

// Turns a row of scores into its weights in place: 2^(score·scale_log2e − maximum) / sum where visible, 0 elsewhere.
void ScoresToWeights(float* row, std::int64_t columns, ColumnInterval visible, const std::uint8_t* mask,
                     float scale_log2e, float maximum, float sum);

// Multiplies by a power of two, in place.
void Scale(ElementType type, void* values, std::int64_t count, float factor);

// Converts between `type` and float32, rounding to nearest, ties to even.
void ToFloat32(ElementType type, const void* from, std::int64_t count, float* to);
void FromFloat32(const float* from, std::int64_t count, ElementType type, void* to);

// The instruction set that these functions use, by Highway's name.
const char* VectorInstructionSetName();

}  // namespace attnd::core::kernels
