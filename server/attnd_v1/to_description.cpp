#include "server/attnd_v1/to_description.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <utility>

#include "server/attnd_v1/tensor_description.h"
#include "server/attnd_v1/to_mask.h"
#include "server/attnd_v1/to_summaries.h"

namespace attnd::server::attnd_v1 {
namespace {

absl::Status ToKeyAndValue(const v1::AttentionProblem& problem, core::ProblemDescription& result) {
  switch (problem.key_value_source_case()) {
    case v1::AttentionProblem::kTensors: {
      const v1::KeyValueTensors& tensors = problem.tensors();
      if (absl::Status status = FromProto(tensors.has_key(), tensors.key(), "problem.tensors.key", result.key);
          !status.ok()) {
        return status;
      }
      return FromProto(tensors.has_value(), tensors.value(), "problem.tensors.value", result.value);
    }
    case v1::AttentionProblem::KEY_VALUE_SOURCE_NOT_SET:
      break;
  }
  return NotGiven("problem.key_value_source", "one of its members, problem.tensors,");
}

// The core knows one layout of ragged tensors, and so cannot tell that another one was asked for.
absl::Status ToLayout(const v1::AttentionProblem& problem, core::ProblemDescription& result) {
  if (problem.has_ragged() && problem.layout() != v1::LAYOUT_UNSPECIFIED) {
    return absl::InvalidArgumentError(absl::StrCat("problem.layout: ", v1::Layout_Name(problem.layout()), " (",
                                                   static_cast<int>(problem.layout()),
                                                   ") found, LAYOUT_UNSPECIFIED (0) expected beside problem.ragged"));
  }
  if (problem.layout() == v1::LAYOUT_BSHD) result.layout = core::Layout::kBshd;
  return absl::OkStatus();
}

core::RaggedOptions ToRagged(const v1::RaggedBatch& ragged) {
  return {.query_offsets = {ragged.query_offsets().begin(), ragged.query_offsets().end()},
          .key_offsets = {ragged.key_offsets().begin(), ragged.key_offsets().end()}};
}

absl::Status ToModifiers(const v1::AttentionProblem& problem, core::ModifierOptions& result) {
  if (problem.has_alibi()) {
    const auto& slopes = problem.alibi().slopes();
    result.alibi_slopes.emplace(slopes.begin(), slopes.end());
  }
  if (problem.bias_place() == v1::BIAS_PLACE_BEFORE_SOFT_CAP) result.bias_place = core::BiasPlace::kBeforeSoftCap;
  if (problem.has_soft_cap()) result.soft_cap = problem.soft_cap();
  result.sinks.assign(problem.sinks().begin(), problem.sinks().end());
  if (!problem.has_bias()) return absl::OkStatus();
  return FromProto(problem.bias().has_tensor(), problem.bias().tensor(), "problem.bias.tensor", result.bias.emplace());
}

}  // namespace

absl::StatusOr<core::ProblemDescription> ToDescription(const v1::AttentionProblem* given,
                                                       const core::PerInput<std::int64_t>& size_bytes) {
  if (given == nullptr) return NotGiven("problem", "an AttentionProblem");
  const v1::AttentionProblem& problem = *given;
  core::ProblemDescription result;
  absl::Status status = FromProto(problem.has_query(), problem.query(), "problem.query", result.query);
  status.Update(ToKeyAndValue(problem, result));
  status.Update(ToLayout(problem, result));
  status.Update(ToMask(problem.mask(), result.mask));
  status.Update(ToModifiers(problem, result.modifiers));
  if (!status.ok()) return status;
  if (problem.has_scale()) result.scale = problem.scale();
  if (problem.has_positions()) result.positions = ToPositions(problem.positions());
  if (problem.has_ragged()) result.ragged = ToRagged(problem.ragged());
  if (problem.empty_row() == v1::EMPTY_ROW_MEAN_OF_ALL_VALUES) result.empty_row = core::EmptyRow::kMeanOfAllValues;
  result.return_weights = problem.return_weights();
  result.return_log_sum_exp = problem.return_log_sum_exp();
  result.summaries = ToSummaries(problem.summaries());
  result.size_bytes = size_bytes;
  return result;
}

}  // namespace attnd::server::attnd_v1
