// Runs the pieces of one problem: packs a tile of keys and values, and computes a tile of queries against all its keys.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

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
#include "core/values.h"

namespace attnd::core {

// What computing tiles of queries did.
struct TileResult {
  std::int64_t computed_tiles = 0;
  std::int64_t skipped_tiles = 0;
  double floating_point_operations = 0;
  std::int64_t empty_rows = 0;

  TileResult& operator+=(const TileResult& other) {
    computed_tiles += other.computed_tiles;
    skipped_tiles += other.skipped_tiles;
    floating_point_operations += other.floating_point_operations;
    empty_rows += other.empty_rows;
    return *this;
  }
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
  // borrowed and may be null. RESOURCE_EXHAUSTED where they could not be made.
  absl::Status Prepare(RowStates* row_states);

  // Packs one key tile of a group.
  void Pack(std::int64_t group, std::int64_t key_tile, PackedKv& packed, Scratch& scratch) const;
  // Those that came packed; null where none did.
  const PackedKv* PackedBefore(std::int64_t group) const;

  // Computes one of the group's query tiles from packed keys and values that are complete. Asks `give_up` before each
  // key tile; where it says so, returns at once and leaves the outputs unspecified.
  TileResult Compute(std::int64_t group, std::int64_t query_tile, const PackedKv& packed,
                     absl::FunctionRef<bool()> give_up, Scratch& scratch) const;
  // Computes the only query tile, if any, of a group that is read once. What is not packed beforehand is packed tile by
  // tile, each just before it is needed.
  TileResult ComputeReadOnce(std::int64_t group, absl::FunctionRef<bool()> give_up, Scratch& scratch) const;

 private:
  // Makes a key tile ready to be read.
  using Load = absl::FunctionRef<void(std::int64_t key_tile)>;

  Values ValuesOf(std::int64_t group) const;
  // Of a key tile, where they are not all finite.
  Values ValuesOfTile(std::int64_t group, std::int64_t key_tile, const PackedKv& packed) const;
  // Where empty rows ask for it; of keys there must be some.
  void FindMean(std::int64_t group, PackedKv& packed) const;

  GroupTile TileOf(std::int64_t group, std::int64_t query_tile) const;
  TileResult Attend(const GroupTile& tile, const PackedKv& packed, Load load, absl::FunctionRef<bool()> give_up,
                    Scratch& scratch) const;
  void StartTile(const GroupTile& tile, Scratch& scratch) const;
  // Leaves the row's running softmax and sums in the scratch; false where it gave up.
  bool AttendToKeys(const GroupTile& tile, const PackedKv& packed, Load load, absl::FunctionRef<bool()> give_up,
                    Scratch& scratch, TileResult& result) const;
  // The others are hidden by the masks in closed form from all rows of the tile.
  Range KeyTilesInSight(const GroupTile& tile, const Scratch& scratch) const;
  // How many heads have a row that sees a key of the tile. The scratch then has what is visible in it.
  std::int64_t CountHeadsThatSee(const GroupTile& tile, Range keys, Scratch& scratch) const;
  void AttendToTile(const GroupTile& tile, Range keys, const std::byte* packed_keys, const std::byte* packed_values,
                    Scratch& scratch) const;
  bool SumsAreFinite(const GroupTile& tile, Scratch& scratch) const;
  void ChangeTileScores(const GroupTile& tile, Range keys, Scratch& scratch) const;
  // Where weights are asked for, their place holds the scores until the rows are finished.
  void KeepScores(const GroupTile& tile, Range keys, Scratch& scratch) const;
  void UpdateSoftmax(const GroupTile& tile, Scratch& scratch) const;
  void ScaleWeights(const GroupTile& tile, Scratch& scratch) const;

  void FinishTile(const GroupTile& tile, const PackedKv& packed, Scratch& scratch, TileResult& result) const;
  void FinishHead(const QueryTile& head, const PackedKv& packed, Scratch& scratch, TileResult& result) const;
  void FinishEmptyRows(const QueryTile& head, const PackedKv& packed, Scratch& scratch, TileResult& result) const;
  void AddNonFiniteValues(const GroupTile& tile, const PackedKv& packed, Scratch& scratch) const;
  void FinishWeights(const GroupTile& tile, Scratch& scratch) const;
  void FinishWeightsOfHead(const QueryTile& head, Range keys, bool is_hidden, Scratch& scratch) const;
  void FillOtherWeights(const QueryTile& head, const Scratch& scratch) const;
  void StoreOutput(const QueryTile& head, Scratch& scratch) const;
  void FinishLogSumExp(const QueryTile& head, std::int64_t row, Scratch& scratch) const;
  void FinishState(const QueryTile& head, std::int64_t row, const Scratch& scratch) const;

  // `row` counts from the head's first in the tile.
  bool IsPadding(const QueryTile& head, std::int64_t row) const;
  bool IsEmpty(const QueryTile& head, std::int64_t row, const Scratch& scratch) const;
  std::int64_t RowIndex(const QueryTile& head, std::int64_t row) const;  // among what has one element a row
  float* WeightsRow(const QueryTile& head, std::int64_t row) const;
  float* SumsRow(const QueryTile& head, std::int64_t row, Scratch& scratch) const;
  void* WeightsOperand(Scratch& scratch) const;

  const Problem problem_;
  const Tensors tensors_;
  Operands operands_;
  const bool changes_scores_;
  const float scale_log2e_;
  RowStates* row_states_ = nullptr;  // set by Prepare()
};

}  // namespace attnd::core
