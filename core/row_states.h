// The softmax of every row of a problem: all that is needed to compute any of its weights again from a score.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>

#include "core/aligned_buffer.h"
#include "core/problem.h"

namespace attnd::core {

// In powers of two, as kernels/softmax.h has it: weight = 2^(x − maximum) / sum. A sink is in both.
struct RowState {
  float maximum = 0;
  float sum = kSawNoKey;

  // The sum of a row that saw no key, whose weights EmptyRow says.
  static constexpr float kSawNoKey = -1;
  bool saw_key() const { return sum != kSawNoKey; }
};

// Different rows may be written by different threads; what is written, any thread may read afterwards. Rows that are
// padding are nobody's to read.
class RowStates {
 public:
  // What it takes: at most four times what the query takes.
  static std::int64_t SizeBytes(const Problem& problem) {
    const std::int64_t rows = problem.is_ragged() ? problem.query_offsets.back() : problem.batch * problem.query_rows;
    return rows * problem.query_heads * static_cast<std::int64_t>(sizeof(RowState));
  }

  // Null where the memory cannot be had.
  static std::unique_ptr<RowStates> Make(const Problem& problem) {
    AlignedBuffer buffer = AllocateAligned(static_cast<std::size_t>(SizeBytes(problem)));
    if (buffer == nullptr) return nullptr;
    return std::unique_ptr<RowStates>(new RowStates(problem.row_strides, std::move(buffer)));
  }

  // The row counts from the sequence's first.
  RowState& At(std::int64_t batch_entry, const Sequence& sequence, std::int64_t query_head, std::int64_t row) {
    return Data()[Index(batch_entry, sequence, query_head, row)];
  }
  const RowState& At(std::int64_t batch_entry, const Sequence& sequence, std::int64_t query_head,
                     std::int64_t row) const {
    return Data()[Index(batch_entry, sequence, query_head, row)];
  }

 private:
  RowStates(const Strides& strides, AlignedBuffer buffer) : strides_(strides), buffer_(std::move(buffer)) {}

  RowState* Data() const { return reinterpret_cast<RowState*>(buffer_.get()); }
  std::int64_t Index(std::int64_t batch_entry, const Sequence& sequence, std::int64_t query_head,
                     std::int64_t row) const {
    return batch_entry * strides_.batch + query_head * strides_.head + (sequence.first_row + row) * strides_.row;
  }

  const Strides strides_;
  const AlignedBuffer buffer_;
};

}  // namespace attnd::core
