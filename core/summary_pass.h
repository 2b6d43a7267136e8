// The second pass over a problem: what its weights say. It computes the scores again, tile by tile, from queries and
// keys as they came and from each row's softmax, which the first pass noted; so it takes no memory that grows with S×S.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "core/execute.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/row_states.h"
#include "core/scratch.h"
#include "core/summary_results.h"
#include "core/summary_tasks.h"
#include "core/weight_tiles.h"

namespace attnd::core {

class SummaryPass {
 public:
  // The most memory that summaries of the problem hold beside tensors, packed keys and values and the workers' scratch;
  // 0 where it asks for none.
  static std::int64_t SizeBytes(const Problem& problem, const Plan& plan, int worker_count);

  // Null where the memory for the rows' softmax cannot be had. Borrows the execution.
  static std::unique_ptr<SummaryPass> Make(const Execution& execution);

  // For the first pass to fill.
  RowStates* row_states() { return states_.get(); }

  // When all rows are finished: the pieces, one after the other. By one thread at a time.
  SummaryTasks& tasks() { return tasks_; }

  // Computes one piece; returns how many tiles' scores were computed. RESOURCE_EXHAUSTED where memory cannot be had.
  // Asks `give_up` before each key tile; where it says so, returns at once and leaves the results unspecified.
  // Thread-safe.
  absl::StatusOr<std::int64_t> Run(const SummaryTask& task, absl::FunctionRef<bool()> give_up, Scratch& scratch) const;

 private:
  SummaryPass(const Execution& execution, std::unique_ptr<RowStates> states);

  const Execution& execution_;
  const std::unique_ptr<RowStates> states_;
  const WeightTiles weights_;
  const SummaryResults results_;
  SummaryTasks tasks_;
};

}  // namespace attnd::core
