// Queries, keys and values as the products take them: converted to their type, padded, and packed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/kernels/products.h"
#include "core/kernels/tile_products.h"
#include "core/kernels/value_packing.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/scratch.h"
#include "core/tensors.h"

namespace attnd::core {

// Where a row of a tensor begins, in elements; `row` counts from the tensor's first.
inline std::int64_t ElementOf(const Strides& strides, std::int64_t batch_entry, std::int64_t head, std::int64_t row) {
  return batch_entry * strides.batch + head * strides.head + row * strides.row;
}

// After Prepare() constant, and thread-safe where each thread has a Scratch of its own.
class Operands {
 public:
  // Borrows the problem.
  Operands(const Problem& problem, const Tensors& tensors, std::shared_ptr<kernels::Products> products);

  const Plan& plan() const { return plan_; }

  // Has the products made. Once, before all others. Throws what oneDNN throws.
  void Prepare();
  // Those for these columns, which Execution has chosen, of a key tile that has so many keys with its padding.
  const kernels::TileProducts& ProductsFor(Range columns, std::int64_t padded_keys) const;
  // At the end of each piece of work.
  void ReleaseThread() const { products_->ReleaseThread(); }

  // One query row of the sequence, padded D elements; all 0 where it is padding.
  void LoadQuery(std::int64_t batch_entry, std::int64_t query_head, const Sequence& sequence, std::int64_t row,
                 void* to) const;
  // How many bytes that takes.
  std::int64_t QuerySizeBytes() const { return plan_.padded_head_size * operand_size_bytes_; }

  // Rows that follow each other.
  void LoadQueries(std::int64_t batch_entry, std::int64_t query_head, const Sequence& sequence, Range rows,
                   void* to) const;

  // One key tile of a group's keys and values. Of panels of keys that begin at `end` or beyond nothing is written, and
  // of values from there on zeros.
  void PackKeys(std::int64_t group, const Sequence& sequence, Range keys, std::int64_t end, std::byte* packed,
                Scratch& scratch) const;
  kernels::ValueKinds PackValues(std::int64_t group, const Sequence& sequence, Range keys, std::int64_t end,
                                 std::byte* packed) const;

 private:
  const std::byte* Row(const void* data, const Strides& strides, std::int64_t batch_entry, std::int64_t head,
                       std::int64_t row) const;
  // Whether rows of so many elements are as the products take them.
  bool IsOperand(std::int64_t size, std::int64_t padded_size) const;
  // Packs values that are not of the products' type.
  kernels::ValueKinds ConvertValues(const kernels::PlainRows& values, std::int64_t padded_keys,
                                    std::byte* packed) const;
  // Whether rows of a tensor, taken together, are as the products take them.
  bool AreOperands(const Strides& strides, std::int64_t size, std::int64_t padded_size) const {
    return IsOperand(size, padded_size) && strides.row == size;
  }
  // Converts a row to the products' type and fills it up with zeros.
  void LoadRow(const void* from, std::int64_t count, std::int64_t padded_count, void* to) const;

  const Problem& problem_;
  const Tensors tensors_;
  const std::shared_ptr<kernels::Products> products_;
  const Plan plan_;
  const std::int64_t element_size_bytes_;
  const std::int64_t operand_size_bytes_;

  // Filled by Prepare(), for each size that tiles and parts of them have.
  std::vector<kernels::TileProducts> products_of_tiles_;
};

}  // namespace attnd::core
