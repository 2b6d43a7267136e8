#include "core/summary_pass.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include <utility>

#include "core/summary_piece.h"
#include "core/summary_scratch.h"

namespace attnd::core {

std::int64_t SummaryPass::SizeBytes(const Problem& problem, const Plan& plan, int worker_count) {
  if (!HasSummaries(problem.summaries)) return 0;
  return RowStates::SizeBytes(problem) + SummaryScratch::SizeBytes(problem, plan) * worker_count;
}

std::unique_ptr<SummaryPass> SummaryPass::Make(const Execution& execution) {
  std::unique_ptr<RowStates> states = RowStates::Make(execution.problem());
  if (states == nullptr) return nullptr;
  return std::unique_ptr<SummaryPass>(new SummaryPass(execution, std::move(states)));
}

SummaryPass::SummaryPass(const Execution& execution, std::unique_ptr<RowStates> states)
    : execution_(execution),
      states_(std::move(states)),
      weights_(execution, *states_),
      results_(execution.problem(), execution.tensors()),
      tasks_(execution.problem()) {}

absl::StatusOr<std::int64_t> SummaryPass::Run(const SummaryTask& task, absl::FunctionRef<bool()> give_up,
                                              Scratch& scratch) const {
  const std::unique_ptr<SummaryScratch> own = SummaryScratch::Make(execution_.problem(), execution_.plan());
  if (own == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ",
                                                     SummaryScratch::SizeBytes(execution_.problem(), execution_.plan()),
                                                     " bytes of intermediate results of summaries"));
  }
  const absl::Cleanup release = [this] { execution_.operands().ReleaseThread(); };
  SummaryPiece piece(execution_, weights_, results_, task, give_up, scratch, *own);
  piece.Run();
  return piece.computed_tiles();
}

}  // namespace attnd::core
