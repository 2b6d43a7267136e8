// Writes summaries into the answer's tensors.
#pragma once

#include <cstdint>

#include "core/plan.h"
#include "core/pooled_cells.h"
#include "core/problem.h"
#include "core/summary_layout.h"
#include "core/summary_scratch.h"
#include "core/tensors.h"
#include "core/top_keys.h"

namespace attnd::core {

// Entries, heads and rows are covered ones, keys those of the sequence. Where heads are reduced, what is added for a
// head goes to its share into the one result, which the first head begins; heads come in order, so that sums have the
// same bits always. (In float32: a sum over H heads is exact to H·2⁻²⁴ of itself.) Thread-safe for different results.
class SummaryResults {
 public:
  // Borrows the problem.
  SummaryResults(const Problem& problem, const Tensors& tensors);

  const SummaryLayout& layout() const { return layout_; }
  // How many heads share a result of their mean; else 1.
  float Divisor() const { return divisor_; }

  // What is asked for of the figures.
  void AddFigures(std::int64_t entry, std::int64_t head, std::int64_t row, const RowFigures& figures) const;
  void AddMap(std::int64_t entry, std::int64_t head, Range map_rows, const PooledCells& cells) const;
  // Of the keys of a tile.
  void AddReceived(std::int64_t entry, std::int64_t head, Range keys, const double* sums, const float* maxima) const;

  // Not to be added to: `head` is 0 where heads are reduced.
  void WriteMatrix(std::int64_t entry, std::int64_t head, std::int64_t row, Range keys, const float* numbers) const;
  // What a row has of keys that its sequence does not have.
  void ClearMatrix(std::int64_t entry, std::int64_t head, std::int64_t row, Range keys) const;
  void WriteTopKeys(std::int64_t entry, std::int64_t head, std::int64_t row, TopKeys& top_keys) const;

 private:
  // Nothing where `to` is null.
  void Add(std::int64_t head, double number, float* to, std::int64_t index) const;
  std::int64_t ResultHead(std::int64_t head) const { return layout_.reduces_heads() ? 0 : head; }
  std::byte* MatrixElement(std::int64_t entry, std::int64_t head, std::int64_t row, std::int64_t key) const;

  const Problem& problem_;
  const Tensors tensors_;
  const SummaryLayout layout_;
  const ElementType matrix_type_;
  const float divisor_;
};

}  // namespace attnd::core
