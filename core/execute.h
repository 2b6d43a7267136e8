// Runs the pieces of one problem: packs a tile of keys and values, and computes a tile of queries against all its keys.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/kernels/products.h"
#include "core/kernels/softmax.h"
#include "core/kernels/tile_products.h"
#include "core/packed_kv.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/scratch.h"
#include "core/tensors.h"

namespace attnd::core {

// What computing one tile of queries did.
struct TileResult {
  std::int64_t computed_tiles = 0;
  std::int64_t skipped_tiles = 0;
  double floating_point_operations = 0;
  std::int64_t empty_rows = 0;
};

// After Prepare() constant, and thread-safe where each thread has a Scratch of its own.
class Execution {
 public:
  Execution(const Problem& problem, const Tensors& tensors, std::shared_ptr<kernels::Products> products);

  const Plan& plan() const { return plan_; }

  // Has the products made. Once, before all others. Throws what oneDNN throws.
  void Prepare();

  // Packs one key tile of a group.
  void Pack(std::int64_t group, std::int64_t key_tile, PackedKv& packed, Scratch& scratch) const;

  // Computes one query tile of one of the group's query heads, from packed keys and values that are complete. Asks
  // `give_up` before each key tile; where it says so, returns at once and leaves the outputs unspecified.
  TileResult Compute(std::int64_t group, std::int64_t head_in_group, std::int64_t query_tile, const PackedKv& packed,
                     absl::FunctionRef<bool()> give_up, Scratch& scratch) const;

 private:
  // One query tile of one head.
  struct QueryTile {
    std::int64_t batch;
    std::int64_t query_head;
    std::int64_t key_value_head;
    Range rows;
  };

  const kernels::TileProducts& ProductsFor(Range keys) const;
  bool IsHidden(const QueryTile& tile, Range keys) const;

  void PackKeys(std::int64_t batch, std::int64_t head, Range keys, std::byte* packed, Scratch& scratch) const;
  kernels::ValueKinds PackValues(std::int64_t batch, std::int64_t head, Range keys, std::byte* packed,
                                 Scratch& scratch) const;

  void StartTile(const QueryTile& tile, Scratch& scratch) const;
  // Leaves the row's running softmax and sums in the scratch; false where it gave up.
  bool AttendToKeys(const QueryTile& tile, const PackedKv& packed, absl::FunctionRef<bool()> give_up, Scratch& scratch,
                    TileResult& result) const;
  bool SumsAreFinite(const QueryTile& tile, Scratch& scratch) const;
  // Where weights are asked for, their place holds the scores until the row is finished.
  void KeepScores(const QueryTile& tile, Range keys, Scratch& scratch) const;
  void ClearScores(const QueryTile& tile, Range keys) const;
  void UpdateSoftmax(const QueryTile& tile, Range keys, Scratch& scratch) const;
  void ScaleWeights(const QueryTile& tile, Range keys, Scratch& scratch) const;

  void FinishRow(const QueryTile& tile, std::int64_t query_row, const PackedKv& packed, Scratch& scratch) const;
  void FinishEmptyRow(const QueryTile& tile, std::int64_t query_row, const PackedKv& packed, Scratch& scratch) const;
  void FinishWeights(const QueryTile& tile, std::int64_t query_row, float maximum, float sum) const;
  void AddNonFiniteValues(const QueryTile& tile, std::int64_t query_row, const PackedKv& packed, float* output) const;

  // The tile's columns that a row sees by all masks but a boolean one that differs from key to key.
  kernels::ColumnInterval VisibleColumns(const QueryTile& tile, std::int64_t query_row, Range keys) const;
  // The boolean mask's bytes for the tile's keys, where it differs from key to key; else null.
  const std::uint8_t* MaskBytes(const QueryTile& tile, std::int64_t query_row, Range keys) const;

  void* WeightsOperand(Scratch& scratch) const;
  std::int64_t RowIndex(const QueryTile& tile, std::int64_t query_row) const;
  float* WeightsRow(const QueryTile& tile, std::int64_t query_row) const;
  void* OutputRow(const QueryTile& tile, std::int64_t query_row) const;
  // One row of a tensor.
  const void* Row(const void* data, const Strides& strides, std::int64_t batch, std::int64_t head,
                  std::int64_t row) const;
  // Converts a row to the products' type and fills it up with zeros.
  void LoadRow(const void* from, std::int64_t count, std::int64_t padded_count, void* to) const;

  const Problem problem_;
  const Tensors tensors_;
  const std::shared_ptr<kernels::Products> products_;
  const Plan plan_;
  const float scale_log2e_;
  const std::int64_t element_size_bytes_;
  const std::int64_t operand_size_bytes_;

  // Filled by Prepare(): the products for whole key tiles, and for a last one that has fewer keys.
  std::optional<kernels::TileProducts> whole_tile_;
  std::optional<kernels::TileProducts> last_tile_;
};

}  // namespace attnd::core
