// Runs the pieces of one problem: packs a tile of keys and values, and computes a tile of queries against all its keys.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <memory>

#include "core/kernels/products.h"
#include "core/operands.h"
#include "core/packed_kv.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/row_states.h"
#include "core/scratch.h"
#include "core/tensors.h"
#include "core/tiles.h"

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

  const Plan& plan() const { return operands_.plan(); }
  // The batch entry that a group belongs to.
  Sequence SequenceOf(std::int64_t group) const { return problem_.SequenceAt(group / problem_.key_value_heads); }

  const Problem& problem() const { return problem_; }
  const Tensors& tensors() const { return tensors_; }
  const Operands& operands() const { return operands_; }

  // Has the products made. Once, before all others. Every row's softmax will be noted in `row_states`, which is
  // borrowed and may be null. Throws what oneDNN throws.
  void Prepare(RowStates* row_states);

  // Packs one key tile of a group.
  void Pack(std::int64_t group, std::int64_t key_tile, PackedKv& packed, Scratch& scratch) const;

  // Computes one query tile of one of the group's query heads, from packed keys and values that are complete. Asks
  // `give_up` before each key tile; where it says so, returns at once and leaves the outputs unspecified.
  TileResult Compute(std::int64_t group, std::int64_t head_in_group, std::int64_t query_tile, const PackedKv& packed,
                     absl::FunctionRef<bool()> give_up, Scratch& scratch) const;

 private:
  void StartTile(const QueryTile& tile, Scratch& scratch) const;
  // Leaves the row's running softmax and sums in the scratch; false where it gave up.
  bool AttendToKeys(const QueryTile& tile, const PackedKv& packed, absl::FunctionRef<bool()> give_up, Scratch& scratch,
                    TileResult& result) const;
  // The scratch then has what is visible in the key tile.
  TileKind LookAt(const QueryTile& tile, Range keys, Scratch& scratch) const;
  bool SumsAreFinite(const QueryTile& tile, Scratch& scratch) const;
  // Where weights are asked for, their place holds the scores until the rows are finished.
  void KeepScores(const QueryTile& tile, Range keys, Scratch& scratch) const;
  void UpdateSoftmax(const QueryTile& tile, Range keys, Scratch& scratch) const;
  void ScaleWeights(const QueryTile& tile, Range keys, Scratch& scratch) const;

  void FinishTile(const QueryTile& tile, const PackedKv& packed, Scratch& scratch, TileResult& result) const;
  void AddNonFiniteValues(const QueryTile& tile, const PackedKv& packed, Scratch& scratch) const;
  void FinishWeights(const QueryTile& tile, Scratch& scratch) const;
  void FinishOutput(const QueryTile& tile, std::int64_t row, const PackedKv& packed, Scratch& scratch) const;
  void FinishLogSumExp(const QueryTile& tile, std::int64_t row, Scratch& scratch) const;
  void FinishState(const QueryTile& tile, std::int64_t row, const Scratch& scratch) const;

  bool IsPadding(const QueryTile& tile, std::int64_t row) const;
  void* WeightsOperand(Scratch& scratch) const;
  // Of row `row` of the tile, among what has one element a row.
  std::int64_t RowIndex(const QueryTile& tile, std::int64_t row) const;
  float* WeightsRow(const QueryTile& tile, std::int64_t row) const;

  const Problem problem_;
  const Tensors tensors_;
  Operands operands_;
  const bool changes_scores_;
  const float scale_log2e_;
  RowStates* row_states_ = nullptr;  // set by Prepare()
};

}  // namespace attnd::core
