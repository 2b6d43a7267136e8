#include "server/attnd_v1/to_description.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <optional>

#include "server/attnd_v1/element_type.h"

namespace attnd::server::attnd_v1 {
namespace {

absl::Status NotGiven(absl::string_view field, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": not given, ", expected, " expected"));
}

absl::Status Translate(bool given, const v1::TensorDescription& tensor, absl::string_view field,
                       core::TensorDescription& result) {
  if (!given) return NotGiven(field, "a TensorDescription");
  const std::optional<core::ElementType> type = FromProto(tensor.element_type());
  if (!type.has_value()) return NotGiven(absl::StrCat(field, ".element_type"), "an ElementType");
  result.element_type = *type;
  result.shape.assign(tensor.shape().begin(), tensor.shape().end());
  return absl::OkStatus();
}

absl::Status TranslateKeyAndValue(const v1::AttentionProblem& problem, core::ProblemDescription& result) {
  switch (problem.key_value_source_case()) {
    case v1::AttentionProblem::kTensors: {
      const v1::KeyValueTensors& tensors = problem.tensors();
      if (absl::Status status = Translate(tensors.has_key(), tensors.key(), "problem.tensors.key", result.key);
          !status.ok()) {
        return status;
      }
      return Translate(tensors.has_value(), tensors.value(), "problem.tensors.value", result.value);
    }
    case v1::AttentionProblem::KEY_VALUE_SOURCE_NOT_SET:
      break;
  }
  return NotGiven("problem.key_value_source", "one of its members, problem.tensors,");
}

core::CausalAlignment Translate(v1::CausalMask::Alignment alignment) {
  switch (alignment) {
    case v1::CausalMask::ALIGNMENT_TOP_LEFT:
      return core::CausalAlignment::kTopLeft;
    case v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT:
      return core::CausalAlignment::kBottomRight;
    default:
      return core::CausalAlignment::kUnspecified;
  }
}

// Offsets take the alignment's place; a contradiction goes on to core::CheckProblem.
void Translate(const v1::CausalMask& causal, core::MaskOptions& result) {
  const auto& offsets = causal.offsets();
  if (!offsets.empty()) result.causal_offsets.emplace(offsets.begin(), offsets.end());
  if (offsets.empty() || causal.alignment() != v1::CausalMask::ALIGNMENT_UNSPECIFIED) {
    result.causal = Translate(causal.alignment());
  }
}

absl::Status Translate(const v1::Mask& mask, core::MaskOptions& result) {
  if (mask.has_causal()) Translate(mask.causal(), result);
  if (mask.has_key_lengths()) {
    const auto& lengths = mask.key_lengths().lengths();
    result.key_lengths.emplace(lengths.begin(), lengths.end());
  }
  if (!mask.has_boolean()) return absl::OkStatus();
  return Translate(mask.boolean().has_tensor(), mask.boolean().tensor(), "problem.mask.boolean.tensor",
                   result.boolean.emplace());
}

}  // namespace

absl::StatusOr<core::ProblemDescription> ToDescription(const v1::AttentionProblem* given, const PayloadSizes& sizes) {
  if (given == nullptr) return NotGiven("problem", "an AttentionProblem");
  const v1::AttentionProblem& problem = *given;
  core::ProblemDescription result;
  if (absl::Status status = Translate(problem.has_query(), problem.query(), "problem.query", result.query);
      !status.ok()) {
    return status;
  }
  if (absl::Status status = TranslateKeyAndValue(problem, result); !status.ok()) return status;
  if (absl::Status status = Translate(problem.mask(), result.mask); !status.ok()) return status;
  if (problem.layout() == v1::LAYOUT_BSHD) result.layout = core::Layout::kBshd;
  if (problem.has_scale()) result.scale = problem.scale();
  if (problem.empty_row() == v1::EMPTY_ROW_MEAN_OF_ALL_VALUES) result.empty_row = core::EmptyRow::kMeanOfAllValues;
  result.return_weights = problem.return_weights();
  result.return_log_sum_exp = problem.return_log_sum_exp();
  result.query_size_bytes = sizes.query_size_bytes;
  result.key_size_bytes = sizes.key_size_bytes;
  result.value_size_bytes = sizes.value_size_bytes;
  if (sizes.mask_size_bytes != 0) result.mask_size_bytes = sizes.mask_size_bytes;
  return result;
}

}  // namespace attnd::server::attnd_v1
